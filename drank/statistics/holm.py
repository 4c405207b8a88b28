"""Holm's correction of p-values for being many (Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979).

It holds the chance of a single false claim among all of them below the level, whatever their dependence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

LEVEL = 0.05
"""A comparison whose corrected p-value is below this is told apart."""


def adjusted(values: Sequence[float]) -> list[float]:
    """The corrected p-values in the order of the p-values; NaN, where nothing could be tested, stays and counts for nothing.

    The k-th smallest of n is multiplied by n − k + 1, is no smaller than one before it, and is at most 1. ValueError for numbers
    that are no probabilities.
    """
    wrong = [value for value in values if not math.isnan(value) and not 0 <= value <= 1]
    if wrong:
        raise ValueError(f"p-values lie between 0 and 1, but here are {', '.join(map(str, wrong[:10]))}")
    order = sorted((place for place, value in enumerate(values) if not math.isnan(value)), key=lambda place: values[place])
    found, largest = [math.nan] * len(values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * values[place]))
        found[place] = largest
    return found
