"""Local data of tasks: the same items in any format, and files that cannot be read named before and while they are read."""

from __future__ import annotations

import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest
import yaml

from drank.evaluation.zeroshot import check_tasks, fetch_task
from drank.evaluation.zeroshot.definitions import define
from tests.unit.evaluation.measuring import evaluate_tasks

TEXTS = [["a", "Lösung", f"b{i}"] for i in range(6)]
ROWS = [
    {"id": str(i), "question": f"Wieviel ist {i}?", "choices": {"text": text, "label": list("ABC")}, "answerKey": "ABC"[i % 3]}
    for i, text in enumerate(TEXTS)
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
SAME = {
    "a.JSONL": LINES,
    "a.ndjson": LINES,
    "bom.json": b"\xef\xbb\xbf" + LINES,
    "blank.jsonl": LINES.replace(b"\n", b"\r\n\r\n"),
    "array.json": json.dumps(ROWS).encode(),
    "a.jsonl.GZ": gzip.compress(LINES),
}


@pytest.fixture
def asked(tmp_path, model, tokenizer):
    def ask(path):
        return evaluate_tasks(model, tokenizer, {"arc": {"harness": "arc_easy", "data": {"test": str(path)}}}, batch=4)

    return ask


def test_items_are_the_same_in_every_format(asked, tmp_path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "arc.PARQUET")
    expected = asked(tmp_path / "arc.PARQUET")
    for name, data in SAME.items():
        (tmp_path / name).write_bytes(data)
        assert asked(tmp_path / name) == expected, name


BAD = {"latin.json": LINES.decode().encode("latin-1"), "cut.json": LINES[:-9], "cut.parquet": b"PAR1"}


@pytest.mark.parametrize("name", BAD)
def test_data_that_cannot_be_read_name_task_and_file(asked, tmp_path, name):
    (tmp_path / name).write_bytes(BAD[name])
    with pytest.raises(OSError, match=rf"task arc: its data cannot be had here .*correct what cannot be read in .*{name}"):
        asked(tmp_path / name)


def test_files_that_are_none_are_told_at_the_check(tmp_path):
    (tmp_path / "pointer.parquet").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "empty.json").touch()
    (tmp_path / "folder.json").mkdir()
    told = {
        "pointer.parquet": "pointer.parquet is a Git LFS pointer",
        "empty.json": "empty.json is empty",
        "folder.json": "folder.json is a folder",
        "a.tsv": "data files must all be of one format out of .parquet, .json",
        "a.parquet.gz": "data files must all be of one format",
    }
    for name, problem in told.items():
        assert any(problem in line for line in check_tasks({"t": {"harness": "arc_easy", "data": {"test": str(tmp_path / name)}}})), name


def test_items_that_do_not_fit_the_definition_are_told(tmp_path, model, tokenizer):
    from drank.testbed.tasks import yaml_for

    items, own = tmp_path / "items.jsonl", tmp_path / "own.yaml"
    items.write_text(json.dumps({"context": "a", "choices": ["b", "c"], "gold": 7, "source": "s"}) + "\n")
    own.write_text(json.dumps(yaml_for("docs-summary", items) | {"task": "own"}))
    with pytest.raises(ValueError, match=r"task own: its definition does not fit its data \(IndexError: .*\); correct.*items\.jsonl"):
        evaluate_tasks(model, tokenizer, {"own": {"yaml": str(own)}})


def test_without_a_network_the_hubs_cache_will_do(tmp_path, monkeypatch):
    """What `hf download` left there `datasets` does not find by the name of the data set."""
    snapshot = tmp_path / "datasets--cais--mmlu" / "snapshots" / ("a" * 40)
    (snapshot / "anatomy").mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("a" * 40)
    rows = [{"question": f"{i}?", "subject": "anatomy", "choices": list("abcd"), "answer": i % 4} for i in range(6)]
    for split in ("test", "dev"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), snapshot / "anatomy" / f"{split}-00000-of-00001.parquet")
    configs = {
        "configs": [{"config_name": "anatomy", "data_files": [{"split": one, "path": f"anatomy/{one}-*"} for one in ("test", "dev")]}]
    }
    (snapshot / "README.md").write_text(f"---\n{yaml.safe_dump(configs)}---\n")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "prepared")
    fetch_task({"harness": "mmlu_anatomy"})
    made = define("a", {"harness": "mmlu_anatomy"}, {}, str(tmp_path))
    assert (made["dataset_path"], made["dataset_kwargs"]) == (str(snapshot), {})
    assert "dataset_path" not in define("a", {"harness": "arc_easy"}, {}, str(tmp_path)), "which the cache does not have"
