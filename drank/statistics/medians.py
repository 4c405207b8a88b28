"""A median over rounds, and how sure it is: the order statistics between which the true one lies, whatever the distribution.

Each round lies below the true median as a coin falls, so the k-th smallest and the k-th largest of n rounds hold it between them unless
fewer than k fall to one side (David and Nagaraja, "Order Statistics", 2003, ch. 7). Nothing is assumed of how times are spread.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from drank.statistics.intervals import LEVEL, Interval


def median_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """The median of values that were drawn independently, with the ends of an interval that covers the true one at least so often.

    The ends are NaN where so few values cannot say it: at 95 % it takes six. ValueError where there is none.
    """
    if not values:
        raise ValueError("a median needs at least one value")
    ordered, place = sorted(values), _place(len(values), level)
    low, high = (ordered[place - 1], ordered[-place]) if place else (math.nan, math.nan)
    return Interval(statistics.median(ordered), low, high)


def _place(count: int, level: float) -> int:
    """The largest k whose k-th values from both ends cover the median so often; 0 where not even the outermost do."""
    place, outside = 0, 2 * 0.5**count  # how often all values lie on one side of it
    while 1 - outside >= level and place < (count + 1) // 2:
        place += 1
        outside += 2 * math.comb(count, place) * 0.5**count
    return place
