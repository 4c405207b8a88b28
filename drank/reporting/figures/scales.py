"""Axes over wide ranges: logarithmic, with plain numbers at few enough places to be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter, NullLocator

WIDE_RANGE = 4.0
"""From this quotient of the largest and smallest value on, an axis is logarithmic."""

STEPS = ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
"""Multiples of the powers of ten at which a logarithmic axis may have its numbers, from dense to sparse."""


def plain(value: float, _: int | None = None) -> str:
    """A number as it is spoken: no powers of ten below a hundred thousand."""
    return f"{value:g}" if value < 1e5 else f"{value:.0e}"


def is_wide(low: float, high: float) -> bool:
    """Whether an axis from `low` to `high` should be logarithmic."""
    return low > 0 and high >= WIDE_RANGE * low


def plain_numbers(axis: Axis) -> None:
    """Plain numbers along a logarithmic axis, none at minor ticks."""
    axis.set_major_formatter(FuncFormatter(plain))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def log_across(axes: Axes, low: float, high: float, width: float) -> None:
    """Make the x axis of a panel `width` inches wide logarithmic from `low` to `high`, with numbers at round values."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(round_values(low, high, width)))
    plain_numbers(axes.xaxis)


def round_values(low: float, high: float, width: float) -> list[float]:
    """Round values between two positive ones: as many as can be told apart on a logarithmic axis `width` inches wide."""
    locators: list[Locator] = [LogLocator(subs=steps, numticks=99) for steps in STEPS]
    if not is_wide(low, high):
        locators = [MaxNLocator(bins, steps=[1, 2, 5, 10]) for bins in range(6, 0, -1)]
    found: list[float] = []
    for locator in locators:
        found = [float(value) for value in locator.tick_values(low, high) if low <= value <= high]
        if _apart(found, width / math.log(high / low)):
            return found
    while not _apart(found, width / math.log(high / low)):
        found = found[::2]
    return found


def _apart(values: Sequence[float], inches: float) -> bool:
    """Whether the numbers at these values do not touch where a factor of e is so many inches wide."""
    room = 0.08 + 0.062 * max((len(plain(value)) for value in values), default=0)
    return all(inches * math.log(after / before) >= room for before, after in pairwise(values))
