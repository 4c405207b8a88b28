"""The losses of single windows in the records of an artefact: perplexities, and how far two runs lie apart on the same windows."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from drank.reporting.comparisons import Comparison, mismatches
from drank.reporting.material import Material
from drank.reporting.names import unique
from drank.reporting.records import Record
from drank.statistics.intervals import Interval, perplexity_of
from drank.statistics.paired import paired_difference


class Run(NamedTuple):
    """One compressed model: by the label of its method and the ratio."""

    model: str
    label: str
    ratio: float

    def __str__(self) -> str:
        """How it is named where it is missing."""
        return f"{self.model}, {self.label}, ratio {self.ratio:g}"


class WindowLosses:
    """The records of perplexity of an artefact by run."""

    def __init__(self, material: Material) -> None:
        self.name = material.name
        self._records = {Run(one.model, one.method, one.ratio): one for one in material.records if one.kind == "perplexity"}

    def __contains__(self, run: Run) -> bool:
        return run in self._records

    def mean(self, run: Run, dataset: str) -> float:
        """The loss in nats per token."""
        windows = self._windows(run, dataset)
        return math.fsum(windows["window_loss"]) / sum(windows["window_tokens"])

    def perplexity(self, run: Run, dataset: str) -> float:
        """The perplexity over all tokens."""
        return perplexity_of(self.mean(run, dataset))

    def difference(self, run: Run, reference: Run, dataset: str) -> Interval:
        """How far a run lies above another in nats per token, with the 95 % interval of the pair; ValueError where they saw other text."""
        pair = Comparison(self._record(run), self._record(reference), reference.label)
        problems = [line for line in mismatches(pair) if f" on {dataset}: " in line]
        if problems:
            raise ValueError(f"{self.name}: these runs cannot be compared; delete the older record and run again:{''.join(problems)}")
        one, two = self._windows(run, dataset), self._windows(reference, dataset)
        return paired_difference(one["window_loss"], one["window_tokens"], two["window_loss"], two["window_tokens"]).log_perplexity

    def _windows(self, run: Run, dataset: str) -> dict[str, Any]:
        detail = self._record(run).detail
        if dataset not in detail:
            raise ValueError(f"{self.name}: {run} was not measured on {dataset}, only on {', '.join(detail)}; have it measured")
        windows: dict[str, Any] = detail[dataset]
        return windows

    def _record(self, run: Run) -> Record:
        if run not in self._records:
            there = unique(other.label for other in self._records)
            told = f"there are records of {', '.join(there) or 'nothing'}; name a run of the artefact, or have it measured"
            raise ValueError(f"{self.name}: no record of perplexity of {run}; {told}")
        return self._records[run]
