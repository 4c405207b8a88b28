"""Flips: items whose answer is another than the dense model's, both ways, which a difference in accuracy lets cancel (arXiv:2407.09141)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drank.reporting.records import Result
from drank.statistics.proportions import Proportion, mean_proportion, proportion_of


def flips(
    tasks: Sequence[str],
    details: Mapping[str, Mapping[str, Any]],
    dense: Mapping[str, Mapping[str, Any]],
    means: Mapping[str, Mapping[str, float]],
) -> Iterator[Result]:
    """The rows of these tasks: `flips`, of these `flips_to_wrong` and `flips_to_right`, and `answers_changed`, out of two records' details.

    All are shares of the items, and items of one passage are not taken as independent; the last counts wrong answers for other wrong ones
    too, where both details tell the answers chosen. Tasks that give credit in part have none. Then follow the `means`, by name the share
    of each task or earlier mean, of what all of these have.
    """
    found: dict[str, dict[str, Proportion]] = {}
    for task in tasks:
        passages = details[task].get("passages") or dense[task].get("passages")
        for metric, changed in _changes(details[task], dense[task]).items():
            found.setdefault(metric, {})[task] = proportion_of(changed, passages)
            yield Result(task, metric, *found[metric][task])
    for name, shares in means.items():
        for metric, known in found.items():
            if known.keys() >= shares.keys():
                known[name] = mean_proportion([known[task] for task in shares], list(shares.values()))
                yield Result(name, metric, *known[name])


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
