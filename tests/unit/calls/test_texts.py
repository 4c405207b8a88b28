"""What a call takes as text."""

from pathlib import Path

import pytest

from drank.calls.measuring import corpora_of
from drank.calls.texts import corpus_of, label_of, listed
from drank.corpora import read

LONG = "word " * 100


def test_one_text_is_a_list_of_one():
    assert listed(None) == []
    assert listed("a.txt") == ["a.txt"]
    assert listed(Path("a.txt")) == [Path("a.txt")]
    assert listed({"hub": "a/b"}) == [{"hub": "a/b"}]
    assert listed(["a.txt", "b.txt"]) == ["a.txt", "b.txt"]


def test_files_and_strings_are_joined_in_their_order(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    entry, split = corpus_of([LONG, tmp_path / "a.txt", "two\nlines"], None, "train", tmp_path / "work")
    files = entry["files"][split]
    assert split == "train"
    assert [Path(file).read_text() for file in files] == [LONG, "one", "two\nlines"]
    again, _ = corpus_of(["two\nlines"], None, "train", tmp_path / "work")
    assert again["files"]["train"] == files[2:], "the same text is the same file"


@pytest.mark.parametrize(
    ("text", "split", "default", "expected"),
    [
        ("python-docs", None, "train", ({"embedded": "python-docs"}, "train")),
        ("python-docs", "validation", "train", ({"embedded": "python-docs"}, "validation")),
        ("python-code", None, "train", ({"embedded": "python-code"}, "test")),
        ("hub:org/name", None, "train", ({"hub": "org/name", "splits": {"train": "train"}}, "train")),
        (
            "hub:org/name,subset=raw,split=validation,field=body,revision=abc",
            None,
            "test",
            ({"hub": "org/name", "splits": {"test": "validation"}, "subset": "raw", "field": "body", "revision": "abc"}, "test"),
        ),
        ({"files": {"dev": "a.txt"}}, "dev", "train", ({"files": {"dev": "a.txt"}}, "dev")),
    ],
)
def test_named_corpora(tmp_path, text, split, default, expected):
    assert corpus_of([text], split, default, tmp_path) == expected


def test_all_that_is_missing_is_named_with_what_is_near(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'nope.txt', 'python-doc' \(did you mean python-docs"):
        corpus_of(["nope.txt", "python-doc"], None, "train", tmp_path)


def test_a_corpus_stands_alone(tmp_path):
    with pytest.raises(ValueError, match="'python-docs' is a whole corpus and stands alone; 2 texts were given"):
        corpus_of(["python-docs", LONG], None, "train", tmp_path)


def test_an_unknown_key_of_a_data_set_is_named(tmp_path):
    with pytest.raises(ValueError, match="subst is unknown; after the data set's id come subset"):
        corpus_of(["hub:org/name,subst=raw"], None, "train", tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/wiki.test.txt", "wiki.test"),
        (Path("ä b.txt"), "b"),
        (LONG, "text-3"),
        ("hub:org/wiki text,subset=x", "wiki-text"),
        ({"hub": "org/c4"}, "c4"),
        ({"files": {}}, "text-3"),
    ],
)
def test_labels(text, expected):
    assert label_of(text, 3) == expected


def test_texts_of_one_name_are_told_apart(tmp_path):
    places = [tmp_path / "a" / "t.txt", tmp_path / "t-3.txt", tmp_path / "b" / "t.txt"]
    for place in places:
        place.parent.mkdir(exist_ok=True)
        place.write_text("text")
    assert [name for name, _ in corpora_of(places, None, tmp_path)] == ["t", "t-3", "t-3-3"]


def test_a_file_may_tell_the_field_of_its_text(tmp_path):
    for name in ("a.jsonl", "b.jsonl", "odd,field=x.jsonl"):
        (tmp_path / name).write_text('{"prompt": "one"}')
    asked = [f"{tmp_path / name},field=prompt" for name in ("a.jsonl", "b.jsonl")]
    entry, split = corpus_of(asked, None, "train", tmp_path)
    assert entry == {"files": {"train": [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]}, "field": "prompt"} and split == "train"
    assert [document.text for document in read(entry)] == ["one", "one"]
    assert label_of(asked[0], 1) == "a"
    assert corpus_of([str(tmp_path / "odd,field=x.jsonl")], None, "train", tmp_path)[0].keys() == {"files"}, "a file of that name"
    with pytest.raises(ValueError, match="in one field, and not in prompt and text; name it behind each file: FILE,field=NAME"):
        corpus_of([asked[0], str(tmp_path / "b.jsonl")], None, "train", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"c\.jsonl,field=prompt'.*there is no such file"):
        corpus_of([str(tmp_path / "c.jsonl,field=prompt")], None, "train", tmp_path)
    with pytest.raises(ValueError, match=r"only prompt; set `field` of the corpus \(in a call FILE,field=NAME\)"):
        read(corpus_of([tmp_path / "a.jsonl"], None, "train", tmp_path)[0])
