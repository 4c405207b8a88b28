"""A configuration that cannot run is refused before anything is done, with all that is wrong with it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.workflow.runs import PROJECT, Run


def test_all_offenders_in_one_error(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    run.change(
        models={"tiny": {"path": "modle"}},
        corpora={"words": {"files": {"train": "train.txt", "test": "tset.txt"}}},
        methods={"svdllm": {}, "d-rank": {"group": 9}},
        tasks={"words": {"yaml": "tsak.yaml"}},
    )
    done = run.snakemake()
    assert done.returncode != 0
    for expected in ("modle", "tset.txt", "svdllm", "did you mean svd-llm", "tsak.yaml"):
        assert expected in done.stdout
    assert not (run.folder / "results").exists()


def test_schema_offenders_in_one_error(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    run.change(ratios=[1.5], ratois=[0.2], calibration={"corpus": "words", "windws": 3})
    done = run.snakemake()
    assert done.returncode != 0
    for expected in ("1.5", "ratois", "did you mean ratios", "windws", "did you mean windows"):
        assert expected in done.stdout


def test_a_key_given_twice_is_named_with_both_lines(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    lines = (run.folder / "config.yaml").read_text().splitlines()
    (run.folder / "config.yaml").write_text("\n".join([*lines, "ratios: [0.1]"]))
    done = run.snakemake("-n")
    assert done.returncode != 0
    assert f"lines {lines.index('ratios:') + 1} and {len(lines) + 1}: key 'ratios' is given twice" in done.stdout


def test_numbers_are_read_however_they_are_written(inputs: Path, tmp_path: Path) -> None:
    """YAML 1.1 takes 1e-1 for text, and Snakemake all that stands in brackets after --config."""
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    text = (run.folder / "config.yaml").read_text().replace("train: train.txt", "2: train.txt")
    (run.folder / "config.yaml").write_text(text.replace("corpus: words", "corpus: words\n  split: 2"))
    jobs = run.planned("--config", "finetune={learning_rate: 1e-4}", "ratios=[1e-1, 0.3]")
    assert jobs["allocate"] == 4 and jobs["tokenize"] == 2


def test_braces_in_paths_are_refused_by_name(inputs: Path, tmp_path: Path) -> None:
    """Snakemake takes them for wildcards, wherever they stand."""
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    for name in ("model", "train.txt", "task.yaml"):
        (run.folder / name).rename(run.folder / f"{{a}}{name}")
    files = {"train": "{a}train.txt", "test": "test.txt"}
    run.change(models={"tiny": {"path": "{a}model"}}, corpora={"words": {"files": files}}, tasks={"words": {"yaml": "{a}task.yaml"}})
    done = run.snakemake("-n")
    assert done.returncode != 0
    for expected in ("models.tiny: '{a}model/config.json'", "corpora.words.files.train: '{a}train.txt'", "tasks.words: '{a}task.yaml'"):
        assert f"{expected} has a brace in its path" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_folder_whose_name_is_no_unicode_is_refused(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / os.fsdecode(b"r\xfcn"), PROJECT)
    shutil.copytree(inputs, run.folder)
    done = run.snakemake("-n")
    assert done.returncode != 0
    assert "r\\udcfcn' has bytes in its path that are no UTF-8" in done.stdout


def test_missing_hub_model_says_how_to_fetch_it(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    run.change(models={"tiny": {"hub": "nobody/nothing"}})
    done = run.snakemake("results/sources/tiny.json")
    assert done.returncode != 0
    assert "drank run CONFIGURATION prefetch" in done.stdout


def test_snakemake_has_nothing_to_say_against_the_rules(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    linted = run.snakemake("--lint")
    assert linted.returncode == 0, linted.stdout
