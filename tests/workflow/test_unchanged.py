"""A job that follows another is left out where the other has made what was there before."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.workflow.runs import Run

pytestmark = pytest.mark.heavy


@pytest.fixture
def own(finished: Run, tmp_path: Path) -> Run:
    """A copy of a finished run that a test may go on with."""
    shutil.copytree(finished.folder, tmp_path / "run")
    return Run(tmp_path / "run", finished.project)


def made_again(run: Run, *arguments: str) -> Collection[str]:
    """The steps whose logs a run wrote anew, by rule and model or text."""
    logs = run.folder / "results/logs"
    before = {path: path.stat().st_mtime_ns for path in logs.rglob("*.log")}
    done = run.snakemake(*arguments)
    assert done.returncode == 0, done.stdout
    assert run.planned() == {}
    return {path.relative_to(logs).parts[0].removesuffix(".log") for path, time in before.items() if path.stat().st_mtime_ns != time}


def test_another_test_text_is_measured_and_nothing_calibrated_on_it(own: Run) -> None:
    """Both splits are one corpus, which is read again; the tokens of the train split are those of before."""
    text = own.folder / "test.txt"
    before = (own.folder / "results/perplexity/tiny/dense/0.json").read_text()
    text.write_text(text.read_text().replace("matrix", "vector"))
    assert {"calibrate", "spectrum", "compress"} <= own.planned().keys(), "before it is read nobody knows"
    again = made_again(own)
    assert {"corpus", "tokenize", "evaluate", "summary"} <= again
    assert not {"calibrate", "spectrum", "allocate", "compress", "throughput"} & again
    assert (own.folder / "results/perplexity/tiny/dense/0.json").read_text() != before


def test_deleted_moments_come_back_alone_and_what_is_asked_for_is_done(own: Run) -> None:
    shutil.rmtree(own.folder / "results/moments/tiny")
    assert made_again(own) == {"calibrate"}
    assert made_again(own, "--forcerun", "allocate") == {"allocate"}
