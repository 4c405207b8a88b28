"""Axes over wide ranges: logarithmic, folded where a few values lie far beyond the others, with plain numbers where they can be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter, NullLocator

Scale = Literal["linear", "logarithmic", "folded"]
"""How an axis goes: folded is logarithmic with its upper part compressed."""

WIDE_RANGE = 4.0
"""From this quotient of the largest and smallest value on, an axis is logarithmic."""

FAR = 2.5
"""Values above this multiple of the best one at the largest ratio are far from the others."""

NARROW, UPPER = 0.25, 0.35
"""Where the far values leave less than the first of the axis to the others, they are folded into the second."""

STEPS = ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
"""Multiples of the powers of ten at which a logarithmic axis may have its numbers, from dense to sparse."""

FOLD = "#f1ece2"
"""The ground of the folded part of a panel."""

Side = Literal["x", "y"]

Room = Callable[[Sequence[float]], float]
"""Inches between two numbers along an axis so that they do not touch."""


def plain(value: float, _: int | None = None) -> str:
    """A number as it is spoken: no powers of ten below a hundred thousand."""
    return f"{value:g}" if value < 1e5 else f"{value:.0e}".replace("e+0", "e")


def is_wide(low: float, high: float) -> bool:
    """Whether an axis from `low` to `high` should be logarithmic."""
    return low > 0 and high >= WIDE_RANGE * low


def plain_numbers(axis: Axis) -> None:
    """Plain numbers along a logarithmic axis, none at minor ticks."""
    axis.set_major_formatter(FuncFormatter(plain))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def beside(values: Sequence[float]) -> float:
    """The room for numbers along an x axis."""
    return 0.08 + 0.055 * max((len(plain(value)) for value in values), default=0)


def above(_: Sequence[float]) -> float:
    """The room for numbers along a y axis."""
    return 0.13


def fit(axes: Axes, side: Side, ends: Iterable[float], inches: float, knee: float | None = None, wide: float = WIDE_RANGE) -> Scale:
    """Make an axis `inches` long hold all `ends` with some air, logarithmic where the last is `wide` times the first, folded above `knee`.

    The knee counts only where what lies below it would get less than `NARROW` of the axis.
    """
    found = [value for value in ends if math.isfinite(value)]
    axis, room = (axes.xaxis, beside) if side == "x" else (axes.yaxis, above)
    limits = axes.set_xlim if side == "x" else axes.set_ylim
    if not found:
        axis.set_major_locator(NullLocator())
        return "linear"
    low, high = min(found), max(found)
    if low <= 0 or high < wide * low:
        air = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        limits(low - air, high + air)
        axis.set_major_locator(MaxNLocator(max(2, min(6, int(inches / (0.4 if side == "x" else 0.25)))), steps=[1, 2, 2.5, 5, 10]))
        return "linear"
    air = max((high / low) ** 0.05, 1.01)
    low, high = low / air, high * air
    folded = knee is not None and low < knee < high and math.log(knee / low) < NARROW * math.log(high / low)
    if knee is None or not folded:
        (axes.set_xscale if side == "x" else axes.set_yscale)("log")
        ticks = round_values(low, high, inches, room)
    else:
        high *= (high / knee) ** 0.12  # air that is left when it is compressed
        (axes.set_xscale if side == "x" else axes.set_yscale)("function", functions=_folding(low, high, knee))
        ticks = round_values(low, knee, (1 - UPPER) * inches, room)
        beyond = round_values(knee, high, UPPER * inches, room)
        gap = (1 - UPPER) * inches * math.log(knee / ticks[-1]) / math.log(knee / low) if ticks else math.inf
        upper = UPPER * inches / math.log(high / knee)
        ticks += [value for value in beyond if gap + upper * math.log(value / knee) >= room([value])]
        (axes.axvspan if side == "x" else axes.axhspan)(knee, high, color=FOLD, linewidth=0, zorder=0.1)
    limits(low, high)
    axis.set_major_locator(FixedLocator(ticks))
    plain_numbers(axis)
    return "folded" if folded else "logarithmic"


def knee_of(values: Iterable[float], best: float) -> float | None:
    """Where an axis may fold: between the last value within `FAR` times the best and the first beyond; None where none is."""
    found = [value for value in values if math.isfinite(value)]
    inside, outside = [value for value in found if value <= FAR * best], [value for value in found if value > FAR * best]
    if not inside or not outside or min(inside) <= 0:
        return None
    return min(math.sqrt(max(inside) * min(outside)), 1.15 * max(inside))


def round_values(low: float, high: float, inches: float, room: Room = beside) -> list[float]:
    """Round values between two positive ones: as many as can be told apart on a logarithmic axis `inches` long."""
    locators: list[Locator] = [LogLocator(subs=steps, numticks=99) for steps in STEPS]
    if not is_wide(low, high):
        locators = [MaxNLocator(bins, steps=[1, 2, 5, 10]) for bins in range(6, 0, -1)]
    found: list[float] = []
    for locator in locators:
        found = [float(value) for value in locator.tick_values(low, high) if low <= value <= high]
        if _apart(found, inches / math.log(high / low), room):
            return found
    while not _apart(found, inches / math.log(high / low), room):
        found = found[::2]
    return found


def _folding(low: float, high: float, knee: float) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """The scale that is logarithmic up to the knee and gives what lies above it `UPPER` of the axis, and its inverse."""
    bend = math.log(knee)
    slope = UPPER / (1 - UPPER) * (bend - math.log(low)) / (math.log(high) - bend)

    def forward(values: Any) -> Any:
        logs = np.log(np.maximum(np.asarray(values, float), 1e-300))
        return np.where(logs <= bend, logs, bend + slope * (logs - bend))

    def inverse(places: Any) -> Any:
        places = np.asarray(places, float)
        return np.exp(np.where(places <= bend, places, bend + (places - bend) / slope))

    return forward, inverse


def _apart(values: Sequence[float], inches: float, room: Room) -> bool:
    """Whether the numbers at these values do not touch where a factor of e is so many inches long."""
    return all(inches * math.log(after / before) >= room(values) for before, after in pairwise(values))
