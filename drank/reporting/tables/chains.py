"""A chain of runs in which each is the former with one change, and what every change is worth in nats on the same windows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

import pandas as pd

from drank.reporting.material import Material
from drank.reporting.names import is_dense, unique
from drank.reporting.tables.artefact import wanted
from drank.reporting.tables.axes import plain
from drank.reporting.tables.window_losses import Run, WindowLosses
from drank.statistics.intervals import Interval

DRAW = "draw"
"""The axis of chance."""


@dataclass(frozen=True)
class Step:
    """A run of a chain: what is changed in it, its perplexity, and how far it lies above the former in nats (None of the first)."""

    run: Run
    change: str
    perplexity: float
    nats: Interval | None


@dataclass(frozen=True)
class Chain:
    """The steps of one model at one ratio on one data set, the difference from first to last, and what chance makes of a run.

    `chance` is the standard deviation of the loss over the draws of a run, in nats: the root mean square over the runs of the chain that
    have several draws; None where none has.
    """

    model: str
    ratio: float
    dataset: str
    steps: tuple[Step, ...]
    whole: Interval
    chance: float | None

    def share(self, nats: Interval) -> float:
        """The share of the whole difference that a step makes."""
        return nats.value / self.whole.value if self.whole.value else math.nan

    def by_chance(self, nats: Interval) -> bool:
        """Whether a difference is no larger than the spread over draws."""
        return self.chance is not None and abs(nats.value) <= self.chance


def chains(material: Material) -> Iterator[Chain]:
    """The chains of the option `chain`, a mapping from the label of each run in order to what is changed in it.

    There is one for each model, each ratio of the last run and each data set. A method may stand for its only run, or for that of its first
    draw. Raises ValueError for a chain of fewer than two runs, and for runs that are not there or have no record.
    """
    links: dict[str, str] = dict(material.options["chain"])
    if len(links) < 2:
        raise ValueError(f"{material.name}: option chain needs two runs or more, and has {', '.join(links) or 'none'}")
    losses = WindowLosses(material)
    for model in material.models:
        mine = material.of(model)
        last = _named(mine, list(links)[-1])
        for ratio in sorted(last["ratio"].unique()):
            runs = [_run(mine, name, float(ratio)) for name in links]
            for dataset in wanted(material, "perplexity"):
                yield _chain(mine, losses, runs, list(links.values()), dataset)


def _chain(material: Material, losses: WindowLosses, runs: list[Run], changes: list[str], dataset: str) -> Chain:
    """The chain of these runs on one data set."""
    former = [None, *runs[:-1]]
    steps = [
        Step(run, change, losses.perplexity(run, dataset), losses.difference(run, before, dataset) if before else None)
        for run, before, change in zip(runs, former, changes, strict=True)
    ]
    spreads = [variance(values) for run in runs if len(values := [losses.mean(one, dataset) for one in _draws(material, run)]) > 1]
    chance = math.sqrt(fmean(spreads)) if spreads else None
    return Chain(runs[-1].model, runs[-1].ratio, dataset, tuple(steps), losses.difference(runs[-1], runs[0], dataset), chance)


def _named(material: Material, name: str) -> pd.DataFrame:
    """The rows of a label, or of all runs of a method that differ in nothing but their draw; ValueError where there are none or others."""
    numbers = material.numbers
    rows = numbers[numbers["label"] == name]
    rows = rows if len(rows) else numbers[numbers["method"] == name]
    others = [axis for axis in material.axes if axis != DRAW]
    if rows.empty or len({tuple(plain(value) for value in row) for row in rows[others].to_numpy()}) > 1:
        there = ", ".join(unique(numbers["label"])) or "none"
        told = "is no run of the artefact" if rows.empty else f"has {', '.join(unique(rows['label']))}"
        raise ValueError(f"{material.name}: option chain names {name}, which {told}; name one of {there}")
    return rows


def _run(material: Material, name: str, ratio: float) -> Run:
    """The run of a name at a ratio, the dense model at its own."""
    rows = _named(material, name)
    ratio = 0.0 if is_dense(name) else ratio
    found = rows.loc[rows["ratio"] == ratio, "label"]
    if found.empty:
        raise ValueError(f"{material.name}: option chain names {name}, which has no run at ratio {ratio:g}; add it to the runs")
    return Run(rows["model"].iloc[0], found.iloc[0], ratio)


def _draws(material: Material, run: Run) -> list[Run]:
    """The run with all of its draws; alone where runs have none."""
    if DRAW not in material.axes:
        return [run]
    at = material.numbers[material.numbers["ratio"] == run.ratio]

    def apart_from_draw(row: dict[Any, Any]) -> list[Any]:
        return [row["method"], *(plain(row[axis]) for axis in material.axes if axis != DRAW)]

    own = apart_from_draw(at[at["label"] == run.label].iloc[0].to_dict())
    return [run._replace(label=label) for label in unique(row["label"] for row in at.to_dict("records") if apart_from_draw(row) == own)]
