"""A run that is killed outright and started again ends with the same numbers, and two runs from scratch agree."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from drank.runtime.files import read_json
from tests.workflow.runs import Run, environment


def facts(run: Run) -> dict[str, object]:
    """Ranks and results of every model, without what differs from run to run."""
    results = run.folder / "results"
    plans = {str(path.relative_to(results)): path.read_text() for path in sorted(results.glob("plans/**/*.json"))}
    records = {}
    for path in sorted([*results.glob("perplexity/**/*.json"), *results.glob("zeroshot/**/*.json")]):
        record = read_json(path)
        records[str(path.relative_to(results))] = (record["results"], record["detail"], record["size"])
    assert plans and records
    return {**plans, **records}


@pytest.mark.heavy
def test_killed_again_and_again_the_run_still_ends_with_the_same_numbers(finished: Run, inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", finished.project)
    shutil.copytree(inputs, run.folder)
    for seconds in (6, 11, 17):
        process = subprocess.Popen(
            run.command(), cwd=run.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(), start_new_session=True
        )
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)  # Snakemake alone: its steps must notice by themselves
        process.wait()
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    assert facts(run) == facts(finished)
    assert not list(run.folder.glob("results/**/.*.part")), "a step outlived its run"


def test_two_runs_in_one_folder_are_refused(finished: Run, inputs: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", finished.project)
    shutil.copytree(inputs, run.folder)
    first = subprocess.Popen(run.command(), cwd=run.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    try:
        lock = run.folder / ".snakemake/drank.lock"
        for _ in range(200):
            if lock.exists() and lock.read_text():
                break
            time.sleep(0.1)
        second = run.snakemake()
        assert second.returncode != 0
        assert "another run" in second.stdout
    finally:
        first.kill()
        first.wait()
