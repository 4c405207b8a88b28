"""The runs of a method that differ in calibration alone, and how far each lies from a reference: effective ranks, plan, perplexity."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from drank.allocation.plan import Plan
from drank.reporting.material import Material
from drank.reporting.recipes import method_in
from drank.reporting.reference_text import reference_of
from drank.reporting.tables.artefact import wanted
from drank.reporting.tables.axes import Key, ordered, plain
from drank.reporting.tables.window_losses import Run, WindowLosses
from drank.statistics.intervals import Interval
from drank.variants import CALIBRATION_AXES


@dataclass(frozen=True)
class Calibrated:
    """One calibration of a method: its place (model, method, ratio, other axes), the values of its `calibration`, and its distances.

    `rank_change` is the median over all groups of |R − R'| / R', where R' is the effective rank of the reference; `moved` the parameters
    that lie in other groups than in the reference's plan, as a share of that plan: half the sum of |p − p'| over the groups. Both are NaN
    where there is no spectrum or no plan. `nats` is the paired difference in loss, by data set.
    """

    place: dict[str, Any]
    calibration: dict[str, Any]
    is_reference: bool
    rank_change: float
    moved: float
    perplexity: dict[str, float]
    nats: dict[str, Interval]


def calibrated(material: Material) -> Iterator[Calibrated]:
    """The calibrations of each model, method and ratio, in the order of their values.

    The reference is the one of the first corpus with most windows and the first draw, or that with the values of the option `reference`, by
    axis. Raises ValueError where the runs stand on no axis of calibration, and where the reference is none of them.
    """
    axes = [axis for axis in CALIBRATION_AXES if axis in material.axes]
    if not axes:
        raise ValueError(f"{material.name}: runs on an axis of calibration are needed ({', '.join(CALIBRATION_AXES)}), and there are none")
    heads = ["model", "method", "ratio", *(axis for axis in material.axes if axis not in axes)]
    datasets, losses = wanted(material, "perplexity"), WindowLosses(material)
    numbers = material.numbers[material.numbers[axes].notna().any(axis="columns")]
    for values, contest in numbers.groupby(heads, sort=False, dropna=False):
        place = {head: plain(value) for head, value in zip(heads, values, strict=True)}
        keys = [tuple(map(plain, key)) for key in contest[axes].itertuples(index=False)]
        runs = {key: Run(place["model"], label, place["ratio"]) for key, label in zip(keys, contest["label"], strict=True)}
        order = [ordered(key[level] for key in runs) for level in range(len(axes))]
        first = _reference(material, axes, runs)
        for key in sorted(runs, key=lambda key: [values.index(value) for values, value in zip(order, key, strict=True)]):
            yield Calibrated(
                place,
                dict(zip(axes, key, strict=True)),
                key == first,
                _rank_change(material, runs[key], runs[first]),
                _moved(_plan(material, runs[key]), _plan(material, runs[first])),
                {name: losses.perplexity(runs[key], name) for name in datasets},
                {name: losses.difference(runs[key], runs[first], name) for name in datasets},
            )


def _reference(material: Material, axes: list[str], runs: Mapping[Key, Run]) -> Key:
    """The calibration that the others are held against."""
    try:
        return reference_of(axes, {key: run.label for key, run in runs.items()}, material.options.get("reference", {}))
    except ValueError as error:
        raise ValueError(f"{material.name}: {error}") from None


def _plan(material: Material, run: Run) -> Plan | None:
    return next((plan for plan in material.plans if (plan.model, plan.method, plan.ratio) == run), None)


def _moved(plan: Plan | None, reference: Plan | None) -> float:
    """The share of the budget that a plan gives to other groups than the reference does."""
    if plan is None or reference is None:
        return math.nan
    one, two = ({group.shape.name: group.parameters for group in found.groups} for found in (plan, reference))
    return sum(abs(one.get(name, 0) - two.get(name, 0)) for name in one.keys() | two.keys()) / 2 / reference.parameters


def _rank_change(material: Material, run: Run, reference: Run) -> float:
    """The median relative change of the effective ranks that the two runs were told by."""
    one, two = (_effective_ranks(material, _plan(material, found)) for found in (run, reference))
    changes = [abs(one[name] - rank) / rank for name, rank in two.items() if name in one]
    return median(changes) if changes else math.nan


def _effective_ranks(material: Material, plan: Plan | None) -> dict[str, float]:
    """The effective ranks of the spectrum that a plan was made of, by group: that of its method, taken on its calibration text."""
    if plan is None:
        return {}
    name, text = method_in(plan.settings).spectrum, _text(plan.calibration)
    found = [one for one in material.spectra if (one["model"], one["spectrum"]) == (plan.model, name) and _text(one["calibration"]) == text]
    return {group["group"]: group["effective_rank"] for group in found[0]["groups"]} if found else {}


def _text(calibration: Mapping[str, Any]) -> list[Any]:
    return [calibration.get(key) for key in CALIBRATION_AXES.values()]
