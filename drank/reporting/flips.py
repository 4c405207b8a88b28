"""Flips: items whose answer is another than the dense model's, both ways, which a difference in accuracy lets cancel (arXiv:2407.09141)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drank.reporting.records import Result
from drank.statistics.intervals import Interval

Z = 1.96
"""Standard errors to each side of a 95 % interval."""


def wilson(hits: int, items: int) -> Interval:
    """The share of items that were hit with Wilson's 95 % interval, which has a width where none or all of them were."""
    share, odd = hits / items, Z**2 / items
    centre, half = (share + odd / 2) / (1 + odd), Z * math.sqrt(share * (1 - share) / items + odd / items / 4) / (1 + odd)
    return Interval(share, min(max(0.0, centre - half), share), max(min(1.0, centre + half), share))


def flips(
    tasks: Iterable[str],
    details: Mapping[str, Mapping[str, Any]],
    dense: Mapping[str, Mapping[str, Any]],
    means: Mapping[str, Mapping[str, float]],
) -> Iterator[Result]:
    """The rows of these tasks: `flips`, of these `flips_to_wrong` and `flips_to_right`, and `answers_changed`, out of two records' details.

    All are shares of the items; the last counts wrong answers for other wrong ones too, where both details tell the answers chosen. Tasks
    that give credit in part have none. Then follow the `means`, by name the share of each task or earlier mean, of what all of these have.
    """
    found: dict[str, dict[str, Result]] = {}
    for task in tasks:
        for metric, changed in _changes(details[task], dense[task]).items():
            found.setdefault(metric, {})[task] = Result(
                task, metric, *wilson(int(changed.sum()), len(changed)), len(changed), _stderr(changed)
            )
            yield found[metric][task]
    for name, shares in means.items():
        for metric, known in found.items():
            if known.keys() >= shares.keys():
                known[name] = _mean(name, metric, [(known[task], share) for task, share in shares.items()])
                yield known[name]


def _changes(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, NDArray[np.bool_]]:
    """By metric whether each item changed from what `two` tells of it to what `one` does; nothing where that cannot be told."""
    sides = [np.asarray(side.get("correct", ()), np.float64) for side in (one, two)]
    if not all(len(side) and set(side.tolist()) <= {0.0, 1.0} for side in sides):
        return {}
    now, before = sides
    changes = {"flips": now != before, "flips_to_wrong": now < before, "flips_to_right": now > before}
    if "chosen" in one and "chosen" in two:
        changes["answers_changed"] = np.not_equal(one["chosen"], two["chosen"])
    return changes


def _stderr(changed: NDArray[np.bool_]) -> float:
    return float(changed.std(ddof=1)) / math.sqrt(len(changed)) if len(changed) > 1 else 0.0


def _mean(name: str, metric: str, tasks: Sequence[tuple[Result, float]]) -> Result:
    """The mean over tasks by their shares, taken as independent; its interval made up of theirs (MOVER, Zou and Donner 2008).

    Where no item flipped it has a width as they do, which standard errors, then zero, would not give it.
    """
    value = sum(share * task.value for task, share in tasks)
    stderr = math.hypot(*(share * (task.stderr or 0.0) for task, share in tasks))
    low = value - math.hypot(*(share * (task.value - (task.ci_low or 0.0)) for task, share in tasks))
    high = value + math.hypot(*(share * ((task.ci_high or 0.0) - task.value) for task, share in tasks))
    return Result(name, metric, value, low, high, sum(task.count or 0 for task, _ in tasks), stderr)
