"""A run on two draws of the calibration text: what is made again for the second, and what tables tell of both."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.workflow.runs import PROJECT, Run


def test_each_number_has_a_spread_over_the_draws(inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    text = run.config["calibration"]
    artefacts = {"quality": {"layout": "quality", "runs": {}}}
    run.change(methods={"svd": {}, "svd-llm": {}}, throughput=None, zeroshot=None, artefacts=artefacts)
    one = run.planned()
    run.change(calibration={**text, "draws": 2})
    two = run.planned()
    assert {rule: two[rule] - one[rule] for rule in one if two[rule] != one[rule]} == {
        "calibrate": 1,
        "spectrum": 1,
        "allocate": 1,
        "compress": 1,
        "evaluate": 1,
    }
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    rows = pd.read_csv(run.folder / "results/summary.csv").query("metric == 'perplexity'").set_index("method")
    values = rows["value"][["svd-llm", "svd-llm+draw=14"]]
    assert values.nunique() == 2 and rows["draws"]["svd-llm"] == 2 and rows["spread"].drop("svd-llm").isna().all()
    assert rows["draw_mean"]["svd-llm"] == pytest.approx(values.mean()) and rows["spread"]["svd-llm"] == pytest.approx(values.std())
    table = (run.folder / "results/tables/quality.tabular.tex").read_text()
    assert f"{values.mean():.2f}" in table and f"$\\pm${values.std():.2f}" in table and "draw" not in table
    assert run.planned() == {}
