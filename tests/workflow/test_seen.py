"""A run is not measured on text that its models are made on, under whatever name, unless it says so: then its report does too."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from drank.reporting.records import Record
from drank.runtime.files import read_json
from tests.workflow.runs import PROJECT, Run

FEW = {"corpora": ["words"], "length": 32, "windows": 8, "overfitting": 4}


@pytest.fixture
def run(inputs: Path, tmp_path: Path) -> Run:
    """A run of little, which has not begun."""
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    artefacts = {"quality": {"layout": "quality", "runs": {}}}
    run.change(methods={"dense": {}, "svd-llm": {}}, throughput=None, zeroshot=None, artefacts=artefacts, perplexity=FEW)
    return run


def test_the_same_split_is_refused_before_anything_is_done(run: Run) -> None:
    run.change(perplexity={**FEW, "split": "train"})
    done = run.snakemake()
    assert done.returncode != 0 and not (run.folder / "results").exists()
    assert "calibration: svd-llm read corpus 'words', split 'train', and would be measured on it" in done.stdout


def test_the_same_text_by_another_name_stops_the_run_before_a_model_is_measured_until_that_is_meant(run: Run) -> None:
    train = (run.folder / "train.txt").read_text().split()
    (run.folder / "test.txt").write_text(" ".join(train[500:1500]))
    stopped = run.snakemake()
    assert stopped.returncode != 0, stopped.stdout
    assert "100.0 % of the runs of 50 tokens of words.test that are measured stand word for word in words.train" in stopped.stdout
    assert "perplexity: {seen: true}" in stopped.stdout and not (run.folder / "results/perplexity/tiny/svd-llm").exists()
    run.change(perplexity={**FEW, "seen": True})
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    records = {path.parent.name: Record.read(path) for path in (run.folder / "results/perplexity").rglob("*.json")}
    assert records["svd-llm"].provenance["overlap"] == {"words.test": {"words.train": 1.0}}
    assert not ({"overlap", "overfitting"} & records["dense"].provenance.keys()), "it reads nothing"
    page = (run.folder / "results/report.html").read_text()
    assert "of words.test stand word for word in words.train: as good as one text" in page and "Overfitting to words.train" in page
    assert "little text to calibrate on" in page
    assert "tiny: 8 windows of 32 tokens to calibrate on are 10.7 tokens for each of the 24 channels" in done.stdout
    told = read_json(run.folder / "results/overfitting/tiny.json")
    assert len(told["read"]) == len(told["unread"]) == 4
    rows = pd.read_csv(run.folder / "results/summary.csv").query("dataset == 'words.train'")
    assert set(rows["method"]) == {"svd-llm"} and set(rows["metric"]) == {"rise_on_read", "rise_on_unread", "overfitting"}
    assert run.planned() == {}
    run.change(perplexity={**FEW, "seen": True, "overfitting": 0})
    planned = run.planned()
    assert planned["evaluate"] == 1 and "overfitting" not in planned and "calibrate" not in planned
