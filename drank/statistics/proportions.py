"""The proportion of items that were hit, how sure it is where items share passages, and the mean of several.

Wilson's interval ("Probable inference", 1927) asks how many independent items there are, and items of one passage are not independent. So
many count as would vary as the passages do (the design effect; Dean and Pagano, "Evaluating confidence interval methods for binomial
proportions in clustered surveys", 2015). Few hits tell little of that, and none nothing at all. So one more item counts beside those
seen, whose passage went the same way as a whole: without hits each passage is one item, and no interval is a point.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from drank.statistics.intervals import clustered_mean

Z = 1.96
"""Standard errors to each side of a 95 % interval."""


class Proportion(NamedTuple):
    """A proportion with the ends of its 95 % interval, how many items it is of, and its standard error.

    The ends and the error are NaN where one passage alone cannot tell how passages differ.
    """

    value: float
    low: float
    high: float
    items: int
    stderr: float


def wilson(proportion: float, items: float) -> tuple[float, float]:
    """The ends of Wilson's 95 % interval of a proportion of so many independent items; it has a width where none or all were hit."""
    odd = Z**2 / items
    centre = (proportion + odd / 2) / (1 + odd)
    half = Z * math.sqrt(proportion * (1 - proportion) / items + odd / items / 4) / (1 + odd)
    return min(max(0.0, centre - half), proportion), max(min(1.0, centre + half), proportion)


def proportion_of(hit: ArrayLike, passages: Sequence[int] | None = None) -> Proportion:
    """The proportion of items that were hit; `passages` tells which of them share one, and without it none do.

    Raises ValueError unless every item has its passage.
    """
    found = np.asarray(hit, np.float64)
    items, (value, stderr, _), alone = len(found), clustered_mean(found, passages), clustered_mean(found)
    if math.isnan(stderr):
        return Proportion(value, math.nan, math.nan, items, math.nan)
    _, passage, sizes = np.unique(np.arange(items) if passages is None else passages, return_inverse=True, return_counts=True)
    whole = float(sizes[passage].mean())  # items in the passage of an item
    effect = ((items * stderr) ** 2 + whole) / ((items * alone.stderr) ** 2 + 1)
    return Proportion(value, *wilson(value, items / effect), items, stderr)


def mean_proportion(proportions: Sequence[Proportion], shares: Sequence[float]) -> Proportion:
    """The mean of independent proportions by their shares, which sum to 1.

    Its squared distance from each end is made of theirs (MOVER; Zou and Donner, 2008), so that it has a width where nothing was hit.
    """

    def of_mean(distances: Iterable[float]) -> float:
        return math.hypot(*(share * distance for share, distance in zip(shares, distances, strict=True)))

    value = sum(share * one.value for share, one in zip(shares, proportions, strict=True))
    low, high = value - of_mean(one.value - one.low for one in proportions), value + of_mean(one.high - one.value for one in proportions)
    return Proportion(value, low, high, sum(one.items for one in proportions), of_mean(one.stderr for one in proportions))
