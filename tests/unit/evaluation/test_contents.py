"""A task by its content: other data, another definition or other code of it is another; where it lies and what it is called is not."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from drank.evaluation.zeroshot.contents import content_of
from drank.evaluation.zeroshot.sources import files_of


@pytest.fixture
def folder(tmp_path):
    """A definition that includes another, which names a function and data."""
    place = tmp_path / "one"
    place.mkdir()
    (place / "items.jsonl").write_text('{"context": "a"}\n')
    (place / "helpers.py").write_text("def process(data):\n    return data\n")
    base = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(place / "items.jsonl")}}, "test_split": "test"}
    (place / "base.yaml").write_text(yaml.safe_dump(base) + "process_docs: !function helpers.process\n")
    (place / "task.yaml").write_text(yaml.safe_dump({"task": "mine", "include": "base.yaml", "doc_to_text": "context"}))
    return place


def content(folder, **options):
    return content_of({"yaml": str(folder / "task.yaml"), **options})


def replaced(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_place_and_name_are_no_part_of_it(folder, tmp_path):
    other = tmp_path / "two"
    shutil.copytree(folder, other)
    replaced(other / "base.yaml", str(folder), str(other))
    replaced(other / "task.yaml", "mine", "theirs")
    assert content(other) == content(folder) is not None
    assert str(tmp_path) not in json.dumps(content(folder))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("items.jsonl", "a", "b"),
        ("helpers.py", "return data", "return data[:1]"),
        ("base.yaml", "test_split: test", "test_split: train"),
        ("task.yaml", "doc_to_text: context", "doc_to_text: question"),
    ],
)
def test_every_file_of_it_counts(folder, file, old, new):
    before = content(folder)
    replaced(folder / file, old, new)
    assert content(folder) != before
    assert str(folder / file) in files_of({"yaml": str(folder / "task.yaml")}), "so that Snakemake notices"


def test_examples_and_splits_count(folder):
    data = {"test": str(folder / "items.jsonl")}
    told = [content(folder), content(folder, fewshot=2), content(folder, data=data), content(folder, data=data | {"train": data["test"]})]
    assert len({json.dumps(one) for one in told}) == len(told)


def test_what_cannot_be_told_is_not(folder, monkeypatch):
    """Code of other packages, data that no file here holds, and a hub's that is not in its cache."""
    monkeypatch.setattr(
        "drank.evaluation.zeroshot.contents.commit_of", lambda source: {"commit": "c"} if source["hub"] == "org/here" else {}
    )
    (folder / "hub.yaml").write_text("dataset_path: org/here\n")
    assert content_of({"yaml": str(folder / "hub.yaml")})["data"] == {"commit": "c"}
    (folder / "hub.yaml").write_text("dataset_path: org/away\n")
    assert content_of({"yaml": str(folder / "hub.yaml")}) is None
    (folder / "helpers.py").unlink()
    assert content(folder) is None
    (folder / "own.yaml").write_text("custom_dataset: 3\ndataset_path: org/here\n")
    assert content_of({"yaml": str(folder / "own.yaml")}) is None


def test_the_data_of_a_hub_are_those_of_the_revision_asked_for(monkeypatch):
    monkeypatch.setattr("drank.evaluation.zeroshot.contents.commit_of", lambda source: {"commit": source["revision"]})
    assert content_of({"harness": "arc_easy", "revision": "abc"})["data"] == {"commit": "abc"}


def test_an_embedded_task_is_its_items(tmp_path):
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    one, two = (content_of({"embedded": "docs-summary"}, tmp_path / name) for name in "ab")
    assert one != two and one["definition"] == two["definition"]
    assert content_of({"embedded": "docs-section"}, tmp_path / "a") != one, "scored by other metrics"


@pytest.mark.parametrize(
    "definition",
    [
        {"dataset_path": "PLACE"},
        {"dataset_path": "text", "dataset_kwargs": {"data_dir": "PLACE"}},
        {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "PLACE/*.jsonl"}}},
        {"dataset_path": "json", "dataset_kwargs": {"data_files": ["PLACE/**/items.jsonl"]}},
    ],
)
def test_data_in_a_folder_and_by_a_pattern_count_too(folder, tmp_path, definition):
    """A job whose task changed in a folder that no file of the run names would otherwise stand."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "items.jsonl").write_text('{"context": "a"}\n')
    (folder / "own.yaml").write_text(yaml.safe_dump(definition).replace("PLACE", str(data)))
    before = content_of({"yaml": str(folder / "own.yaml")})
    assert before is not None and content_of({"yaml": str(folder / "own.yaml")}) == before
    replaced(data / "items.jsonl", "a", "b")
    assert content_of({"yaml": str(folder / "own.yaml")}) != before
