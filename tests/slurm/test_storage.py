"""A run whose results lie in storage, and share no file system with the folder that it is started in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from drank.runtime.files import read_json
from tests.workflow.runs import PROJECT, Run, write_inputs


def test_a_run_with_its_results_in_storage_ends_and_is_not_begun_again(tmp_path: Path) -> None:
    """What a user gave stays where it is; all else is in the storage, none of it in the folder of the run."""
    if shutil.which("rsync") is None:
        pytest.skip("the storage plug-in for file systems needs rsync")
    write_inputs(tmp_path / "run")
    run, store = Run(tmp_path / "run", PROJECT), tmp_path / "store"
    storage = ("--default-storage-provider", "fs", "--default-storage-prefix", str(store), "--shared-fs-usage", "none")
    done = run.snakemake(*storage)
    assert done.returncode == 0, done.stdout
    assert "report: results/report.html in" in done.stdout and "evaluate tiny svd-llm 0.3: done in" in done.stdout
    assert "in storage" not in done.stdout.partition("steps, 2 at once")[2]
    assert not [path for path in (run.folder / "results").rglob("*") if path.is_file() and ".notes" not in path.parts]
    summary = pd.read_csv(store / "results/summary.csv")
    assert set(summary["method"]) == {"dense", "svd-llm", "d-rank"}
    assert (store / "results/figures/perplexity.pdf").stat().st_size > 200
    assert run.planned(*storage) == {}
    for record in ("perplexity/tiny/dense/0.json", "perplexity/tiny/svd-llm/0.3.json"):
        assert read_json(store / "results" / record)["results"][0]["value"] > 1
    run.change(ratios=[0.3, 0.5])
    assert run.planned(*storage)["compress"] == 2
    shutil.rmtree(store / "results/models/tiny/svd-llm/0.3")
    run.change(ratios=[0.3])
    assert run.planned(*storage)["compress"] == 1, "a deleted model is made again"
