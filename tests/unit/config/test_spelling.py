"""Paths that a run cannot be told of are refused by name; calls, which need no Snakemake, read those with braces."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from drank.config import ConfigError, check, with_defaults
from tests.unit.configurations import SCHEMA


def lines(config, folder) -> list[str]:
    """What a check for a run in this folder says."""
    with pytest.raises(ConfigError) as error:
        check(with_defaults(config, SCHEMA), folder)
    return error.value.problems


def test_every_file_with_a_brace_is_named_with_its_place(valid, model, tmp_path):
    (tmp_path / "{a}.txt").write_text("text")
    (model / "extra{1}.json").write_text("{}")
    (tmp_path / "{b}.jsonl").write_text("{}")
    (tmp_path / "task.yaml").write_text(
        json.dumps({"task": "t", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(tmp_path / "{b}.jsonl")}}})
    )
    valid["corpora"]["mine"]["files"]["train"] = [str(tmp_path / "train.txt"), str(tmp_path / "{a}.txt")]
    valid["tasks"]["own"] = {"yaml": str(tmp_path / "task.yaml")}
    check(with_defaults(valid, SCHEMA))
    found = lines(valid, tmp_path)
    assert [line.split(":")[0] for line in found] == ["models.tiny", "corpora.mine.files.train", "tasks.own"]
    assert all("has a brace in its path, which Snakemake takes for a wildcard; rename it" in line for line in found)


def test_what_no_log_can_hold_is_told_in_a_line_that_one_can(valid, tmp_path):
    file = tmp_path / os.fsdecode(b"f\xfc.txt")
    file.write_text("text")
    valid["corpora"]["mine"]["files"]["train"] = str(file)
    folder, path = lines(valid, Path(os.fsdecode(b"/tmp/r\xfc")))
    assert "the run's folder '/tmp/r\\udcfc' has bytes" in folder and "f\\udcfc.txt' has bytes" in path
    assert "".join([folder, path]).isascii()
