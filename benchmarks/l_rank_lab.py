"""Models made and measured in one process and one folder, where what has been measured is not measured again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from transformers import PreTrainedModel

from benchmarks.l_rank_calibration import Calibration
from benchmarks.l_rank_materials import Materials, made, say
from benchmarks.l_rank_rows import ROWS
from drank.compression.correction import correct, leaving_states
from drank.evaluation.losses import WindowLosses, window_losses
from drank.methods import Method
from drank.runtime.files import read_json, write_json
from drank.runtime.log import duration

Losses = dict[str, WindowLosses]
"""The losses of one model on the evaluated windows of every corpus."""


class Job(NamedTuple):
    """One number to measure: a row at a ratio, calibrated on so many windows of a corpus."""

    row: str
    ratio: float
    corpus: str
    windows: int


class Lab(Materials):
    """Models made of its materials and measured, and the records of what they lose, which the folder keeps."""

    @cached_property
    def _calibrations(self) -> dict[tuple[str, int], Calibration]:
        """Those asked for so far, by corpus and windows."""
        return {}

    def calibration(self, corpus: str, windows: int) -> Calibration:
        """So many windows of a corpus, and what is measured on them."""
        return self._calibrations.setdefault((corpus, windows), Calibration(self, corpus, windows))

    def losses(self, model: PreTrainedModel) -> Losses:
        """What a model loses on every corpus."""
        return {corpus: window_losses(model, self.evaluated(corpus), corpus, self.batch) for corpus in self.texts}

    @cached_property
    def dense(self) -> Losses:
        """What the dense model loses."""
        path = self.folder / "measured" / "dense.json"
        return self._read(made(path, lambda: write_losses(path, self.losses(self.model()))))

    def record(self, job: Job) -> Path:
        """Where the losses of a job are kept."""
        return self.folder / "measured" / f"{job.corpus}-{job.windows}" / job.row / f"{job.ratio:g}.json"

    def found(self, job: Job) -> Losses | None:
        """The losses of a job, None where it was not measured, or by a row that had other options."""
        path = self.record(job)
        return self._read(path) if path.exists() and read_json(path)["method"] == asdict(ROWS[job.row].method) else None

    def _read(self, path: Path) -> Losses:
        """The losses in a file, the corpora in the order of the texts."""
        found = read_json(path)["losses"]
        return {corpus: WindowLosses(**found[corpus]) for corpus in self.texts}

    def measure(self, jobs: Iterable[Job]) -> None:
        """Measure every job that has no record yet."""
        wanted = list(dict.fromkeys(jobs))
        missing = [job for job in wanted if self.found(job) is None]
        say(f"{len(wanted)} measurements, {len(wanted) - len(missing)} of them made before")
        for number, job in enumerate(missing, start=1):
            started, method, calibration = time.monotonic(), ROWS[job.row].method, self.calibration(job.corpus, job.windows)
            model = calibration.compressed(method, job.ratio)
            if method.corrections:
                reference = leaving_states(self.skeleton(), calibration.windows, self.batch)
                correct(model, reference, calibration.windows, method.corrections, self.batch)
            made_in = duration(time.monotonic() - started)
            losses = self.losses(model)
            write_losses(self.record(job), losses, method)
            left = len(missing) - number
            gaps = ", ".join(f"{on} {gap(losses, self.dense, on):+.4f}" for on in losses)
            say(f"{job.row} at {job.ratio:g}, {job.windows} windows of {job.corpus}: {gaps}; made in {made_in}, {left} to go")


def gap(losses: Losses, dense: Losses, corpus: str) -> float:
    """How far a model lies above the dense one on a corpus, in nats per token."""
    found, base = losses[corpus], dense[corpus]
    return sum(found.loss) / sum(found.tokens) - sum(base.loss) / sum(base.tokens)


def write_losses(path: Path, losses: Losses, method: Method | None = None) -> None:
    """Write the losses of one model, and the method that made it."""
    write_json(path, {"losses": {name: asdict(found) for name, found in losses.items()}, "method": method and asdict(method)})
