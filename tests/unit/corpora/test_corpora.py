"""Corpora from every kind of place: local text, JSON lines, Parquet, and a hub data set from the hub client's cache, offline."""

from __future__ import annotations

import json

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank import corpora
from drank.corpora import first_documents, join_string, load, read, write
from drank.corpora.documents import Document


def texts(documents: list[Document], split: str) -> list[str]:
    return [document.text for document in documents if document.split == split]


@pytest.fixture
def files(tmp_path):
    """The same two rows as JSON lines and as Parquet, and two text files."""
    rows = ["ein Satz\nmit ümlaut", "two"]
    (tmp_path / "a.txt").write_text("whole file\n\nwith a gap\n", "utf-8")
    (tmp_path / "b.raw").write_text("another", "utf-8")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"body": row, "n": 1}) + "\n" for row in rows), "utf-8")
    table = pyarrow.table({"n": [1, 2], "body": rows})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    return tmp_path


def test_text_files_are_documents_as_they_stand(files):
    source = {"files": {"train": [str(files / "a.txt"), str(files / "b.raw")], "test": str(files / "b.raw")}}
    documents = read(source)
    assert documents == [
        Document("train", "a.txt", "whole file\n\nwith a gap\n"),
        Document("train", "b.raw", "another"),
        Document("test", "b.raw", "another"),
    ]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_rows_of_a_field_are_documents(files, name):
    documents = read({"files": {"test": str(files / name)}, "field": "body"})
    assert texts(documents, "test") == ["ein Satz\nmit ümlaut", "two"]


def test_a_missing_field_names_the_file_the_place_and_the_option(files):
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 1: no JSON object with a field 'text'.*set `field` of the corpus"):
        read({"files": {"test": str(files / "rows.jsonl")}})
    with pytest.raises(ValueError, match=r"rows\.parquet: no column 'text', only n, body; set `field` of the corpus"):
        read({"files": {"test": str(files / "rows.parquet")}})


def test_a_broken_line_is_named(files):
    (files / "bad.jsonl").write_text('{"text": "fine"}\n{"text": \n')
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 2"):
        read({"files": {"test": str(files / "bad.jsonl")}})
    (files / "list.jsonl").write_text("[1, 2]\n")
    with pytest.raises(ValueError, match=r"list\.jsonl, entry 1"):
        read({"files": {"test": str(files / "list.jsonl")}})


def test_values_that_are_no_text_are_named(files):
    with pytest.raises(ValueError, match=r"rows\.parquet, row 1: field 'n' is 1, which is no text"):
        read({"files": {"test": str(files / "rows.parquet")}, "field": "n"})
    pyarrow.parquet.write_table(pyarrow.table({"text": ["fine", None]}), files / "gaps.parquet")
    with pytest.raises(ValueError, match=r"gaps\.parquet, row 2: field 'text' is empty \(null\), and every row is a text; remove the row"):
        read({"files": {"test": str(files / "gaps.parquet")}})


def test_a_file_that_is_not_there(files):
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        read({"files": {"test": str(files / "none.txt")}})


def test_documents_are_joined_as_the_source_says():
    assert join_string({"files": {}}) == join_string({"hub": "x"}) == "\n\n"
    assert join_string({"files": {}, "join": ""}) == ""
    assert join_string({"embedded": "python-docs"}) == "\n\n\n", "what the embedded models were trained on"
    assert join_string({"embedded": "python-reference"}) == "\n\n"


def test_a_written_corpus_comes_back_with_its_facts(files):
    source = {"files": {"train": str(files / "a.txt"), "test": str(files / "rows.jsonl")}, "field": "body", "join": "|"}
    documents = [Document("train", "a.txt", "text"), Document("test", "rows.jsonl", "ü\n"), Document("test", "rows.jsonl", "")]
    write(files / "out" / "c.parquet", source, documents)
    everything, facts = load(files / "out" / "c.parquet")
    assert everything == documents and facts == {"source": {**source, "files": {"train": ["a.txt"], "test": ["rows.jsonl"]}}, "join": "|"}
    assert load(files / "out" / "c.parquet", "test")[0] == documents[1:]
    assert all(isinstance(document, Document) for document in everything)
    with pytest.raises(ValueError, match=r"c\.parquet has no split 'validation', only test, train"):
        load(files / "out" / "c.parquet", "validation")


def test_splits_without_text_are_refused_and_named(files):
    (files / "empty.txt").write_text("  \n")
    (files / "none.jsonl").write_text("")
    source = {"files": {"train": str(files / "a.txt"), "test": str(files / "empty.txt"), "validation": str(files / "none.jsonl")}}
    with pytest.raises(ValueError, match="no text in split test, validation"):
        write(files / "c.parquet", source, read(source))
    with pytest.raises(ValueError, match=r"no text in split \(none given\)"):
        write(files / "c.parquet", {"embedded": "python-code"}, [])
    assert not (files / "c.parquet").exists()


@given(st.lists(st.text(max_size=8), max_size=12), st.integers(1, 60))
def test_first_documents_are_the_fewest_whole_ones_that_hold_so_many_characters(strings, characters):
    documents = [Document("test", str(i), text) for i, text in enumerate(strings)]
    found = first_documents(documents, characters)
    assert found == documents[: len(found)]
    lengths = [len(text) for text in strings]
    assert sum(lengths[: len(found)]) >= characters or len(found) == len(documents)
    if found:
        assert sum(lengths[: len(found) - 1]) < characters


def test_embedded_corpora_are_asked_for_by_name(monkeypatch):
    document = Document("test", "topic", "text")
    monkeypatch.setitem(corpora.EMBEDDED, "python-reference", lambda: [document])
    assert read({"embedded": "python-reference"}) == [document]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A data set as the hub's client leaves it in its cache, in two revisions, the hub switched off."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "prepared"))
    repository = tmp_path / "hub" / "datasets--org--Text"
    (repository / "refs").mkdir(parents=True)
    for revision, commit, word in (("main", "a" * 40, "new"), ("v1", "b" * 40, "old")):
        folder = repository / "snapshots" / commit
        (folder / "small").mkdir(parents=True)
        for split in ("train", "test"):
            rows = [f"{word} {split} {i}" for i in range(3)]
            pyarrow.parquet.write_table(pyarrow.table({"body": rows}), folder / "small" / f"{split}-00000-of-00001.parquet")
        (folder / "extra.jsonl").write_text(json.dumps({"body": f"{word} extra"}) + "\n")
        (folder / "README.md").write_text(
            "---\nconfigs:\n- config_name: small\n  data_files:\n"
            "  - split: train\n    path: small/train-*\n  - split: test\n    path: small/test-*\n---\n"
        )
        (repository / "refs" / revision).write_text(commit)
    return {"hub": "org/Text", "subset": "small", "splits": {"test": "test", "train": "train[:2]"}, "field": "body"}


def test_a_hub_data_set_is_read_from_the_cache_without_a_network(hub):
    documents = read(hub)
    assert documents[0] == Document("test", "org/Text", "new test 0")
    assert texts(documents, "test") == ["new test 0", "new test 1", "new test 2"]
    assert texts(documents, "train") == ["new train 0", "new train 1"]


def test_a_hub_data_set_is_read_at_its_revision(hub):
    read(hub)
    for revision in ("v1", "b" * 40):
        assert texts(read(hub | {"revision": revision}), "test") == ["old test 0", "old test 1", "old test 2"]


def test_single_files_of_a_hub_data_set(hub):
    source = {"hub": "org/Text", "data_files": {"held": "extra.jsonl"}, "splits": {"test": "held"}, "field": "body"}
    assert texts(read(source), "test") == ["new extra"]


def test_a_hub_data_set_that_is_not_here_names_the_remedy(hub):
    with pytest.raises(
        ValueError, match=r"data set org/Other, revision main, is not in the local hub cache; run `drank run CONFIGURATION prefetch`"
    ):
        read(hub | {"hub": "org/Other"})
    with pytest.raises(ValueError, match="data set org/Text, revision v9, is not"):
        read(hub | {"revision": "v9"})
    with pytest.raises(ValueError, match=r"data set org/Text: no column 'text', only body; set `field`"):
        read(hub | {"field": "text"})
