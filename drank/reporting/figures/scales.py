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

FAR, EMPTY, NARROW = 1.5, 0.4, 0.25
"""Values are folded that lie beyond a gap of this quotient, if the gap is this share of the axis or leaves that share to what is below."""

UPPER = 0.35
"""The share of the axis that the folded values get."""

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


def fit(axes: Axes, side: Side, ends: Iterable[float], inches: float, values: Iterable[float] = (), wide: float = WIDE_RANGE) -> Scale:
    """Make an axis `inches` long hold all `ends` with some air, logarithmic where the last is `wide` times the first.

    It is folded where that makes room for most of the `values`.
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
    knee = knee_of(values, low, high)
    if knee is None:
        (axes.set_xscale if side == "x" else axes.set_yscale)("log")
        ticks = round_values(low, high, inches, room)
    else:
        high *= (high / knee) ** 0.12  # air that is left when it is compressed
        (axes.set_xscale if side == "x" else axes.set_yscale)("function", functions=_folding(low, high, knee))
        ticks = _folded_values(low, knee, high, max(found), inches, room)
        (axes.axvspan if side == "x" else axes.axhspan)(knee, high, color=FOLD, linewidth=0, zorder=0.1)
    limits(low, high)
    axis.set_major_locator(FixedLocator(ticks))
    plain_numbers(axis)
    return "logarithmic" if knee is None else "folded"


def knee_of(values: Iterable[float], low: float, high: float) -> float | None:
    """Where an axis from `low` to `high` should fold: in the widest gap above at least half of the values for which that makes room.

    None where no gap does, or all is within a power of ten.
    """
    found = sorted(value for value in values if math.isfinite(value) and value > 0) if high >= 10 * low else []
    for before, after in sorted(list(pairwise(found))[len(found) // 2 :], key=lambda ends: ends[0] / ends[1]):
        knee, empty = min(math.sqrt(before * after), 1.15 * before), math.log(after / before)
        crowded = math.log(knee / low) < NARROW * math.log(high / low) or empty > EMPTY * math.log(high / low)
        if after >= FAR * before and knee > low and crowded:
            return knee
    return None


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


def _folded_values(low: float, knee: float, high: float, last: float, inches: float, room: Room) -> list[float]:
    """Round values along a folded axis: the highest power of ten up to the `last` value first, so that both parts can be read."""
    forward, _ = _folding(low, high, knee)
    start, end = forward([low, high])
    found = {float(value) for steps in STEPS[1:] for value in LogLocator(subs=steps, numticks=99).tick_values(knee, high)}
    upper = sorted((value for value in found if knee < value <= last), key=lambda value: (math.log10(value) % 1 > 1e-9, -value))
    kept: list[float] = []
    for value in [*upper, *round_values(low, knee, (1 - UPPER) * inches, room)]:
        places = inches * (forward([value, *kept]) - start) / (end - start)
        if all(abs(places[0] - place) >= room([value, other]) for place, other in zip(places[1:], kept, strict=True)):
            kept.append(value)
    return sorted(kept)


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
