"""Quality and speed of many methods: a line of the page for each of them, a dot for each ratio, the best on top."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from drank.reporting.figures.curves import LEVELS, fit_values, level_words, levels
from drank.reporting.figures.method_order import compressed, standing
from drank.reporting.figures.quantity import Quantity
from drank.reporting.figures.scales import Scale
from drank.reporting.figures.sheet import INCHES, TALLEST, Drawn, Width, legend_above
from drank.reporting.figures.style import GREY
from drank.reporting.figures.words import axis_words, of_models, over_draws, sentences
from drank.reporting.names import is_control, method_name, percent, unique

ROW, MORE, BLOCK = 0.125, 0.11, 0.35
"""Inches: the height of a method's line, what each further line of its name adds, and what a block needs above and below its lines."""

MARGIN, LETTER = 0.25, 0.053
"""Inches, roughly: what stands beside the names of methods, and a letter of them."""

COMFORTABLE, LEAST = 1.3, 0.7
"""Inches of a panel: with fewer, panels go below each other; with no fewer than the second where they would not fit a page so."""

COLUMNS = 4
"""Models side by side where a panel shows all there is of a model."""

BAND = "#f3f3f3"

Panels = Mapping[str, pd.DataFrame]
"""What stands side by side, by title, and shares one column of method names."""


@dataclass(frozen=True)
class Look:
    """How the dots of one ratio look, and how far from the middle of its line each stands."""

    color: str
    marker: str
    shift: float


def draw(rows: pd.DataFrame, quantity: Quantity, width: Width) -> Drawn:
    """A block of methods for each model, a panel for each data set; where there is but one, a panel for each of a few models."""
    style = _looks(sorted(compressed(rows)["ratio"].unique()))
    several = rows["dataset"].nunique() > 1
    options = {"less_is_better": quantity.less_is_better, "logarithmic": quantity.logarithmic}
    blocks = _blocks(rows)
    orders = {name: standing(panels, **options) for name, panels in blocks.items()}
    names = {method: _broken(method_name(method), width) for order in orders.values() for method in order}
    row = ROW + MORE * (max((len(broken) for broken in names.values()), default=1) - 1)
    left = INCHES[width] - MARGIN - LETTER * max((len(line) for broken in names.values() for line in broken), default=0)
    lines, columns = _wrapped(blocks, orders, left, row)
    sizes = [max(len(orders[name]), 2) for name, _ in lines]
    height = 0.3 + sum(row * size + BLOCK for size in sizes)
    figure = Figure(figsize=(INCHES[width], height), layout=ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.03))
    grid = figure.subplots(len(lines), columns, squeeze=False, height_ratios=sizes)
    inches, used = left / columns - 0.12, []
    for (name, titles), beside in zip(lines, grid, strict=True):
        together = pd.concat(blocks[name].values())
        for axes, title in zip(beside, titles, strict=False):
            here = blocks[name][title]
            axes.set_title(title)
            _panel(axes, here, orders[name], style, quantity)
            used.append(fit_values(axes, "x", together if quantity.shared else here, quantity, inches, wide=1))
        _name_lines(beside[0], {method: names[method] for method in orders[name]}, name if several and len(blocks) > 1 else "")
        for axes in beside[len(titles) :]:
            axes.set_visible(False)
    figure.supxlabel(quantity.label)
    _legend(figure, rows, style, quantity)
    return Drawn(figure, _caption(rows, quantity, used))


def _blocks(rows: pd.DataFrame) -> dict[str, Panels]:
    """The rows by model and data set, every model with a panel for each; by a few models where there is but one data set."""
    datasets, models = unique(rows["dataset"]), unique(rows["model"])
    if len(datasets) > 1:
        return {model: {name: rows[(rows["model"] == model) & (rows["dataset"] == name)] for name in datasets} for model in models}
    chunks = [models[first : first + COLUMNS] for first in range(0, len(models), COLUMNS)]
    return {str(index): {model: rows[rows["model"] == model] for model in chunk} for index, chunk in enumerate(chunks)}


def _broken(name: str, width: Width) -> list[str]:
    """The lines of a method's name, which leave a panel a comfortable width."""
    return textwrap.wrap(name, int((INCHES[width] - COMFORTABLE - MARGIN) / LETTER)) or [name]


def _wrapped(
    blocks: Mapping[str, Panels], orders: Mapping[str, list[str]], inches: float, row: float
) -> tuple[list[tuple[str, list[str]]], int]:
    """The lines of panels, by block and titles, and how many panels a line has: as few as fit the page, each of a comfortable width.

    A method has `row` inches.
    """
    longest = max(map(len, blocks.values()))
    for least in (COMFORTABLE, LEAST):
        columns = max(1, min(longest, int(inches / least)))
        lines = [
            (name, titles[first : first + columns])
            for name, titles in ((name, list(panels)) for name, panels in blocks.items())
            for first in range(0, len(titles), columns)
        ]
        if sum(row * len(orders[name]) + BLOCK for name, _ in lines) < TALLEST:
            break
    return lines, columns


def _looks(ratios: Sequence[float]) -> dict[float, Look]:
    """A look for each ratio, the darker the more is removed."""
    colors = mpl.colormaps["viridis"](np.linspace(0.72, 0.08, len(ratios)))
    middle = (len(ratios) - 1) / 2
    return {
        ratio: Look(to_hex(color), "os^Dv<>P"[index % 8], 0.56 * (index - middle) / len(ratios))
        for index, (ratio, color) in enumerate(zip(ratios, colors, strict=True))
    }


def _name_lines(axes: Axes, names: Mapping[str, list[str]], heading: str) -> None:
    """The names of the methods, by lines, beside the first panel, controls in grey; the heading above them."""
    axes.set_yticks(range(len(names)), ["\n".join(lines) for lines in names.values()])
    for label, method in zip(axes.get_yticklabels(), names, strict=True):
        label.set_color(GREY if is_control(method) else "black")
    axes.annotate(heading, (0, 1), (-4, 4), xycoords="axes fraction", textcoords="offset points", ha="right", fontweight="bold")


def _panel(axes: Axes, rows: pd.DataFrame, order: Sequence[str], style: Mapping[float, Look], quantity: Quantity) -> None:
    """Dots with bars on a line for each method; dense and chance as lines down the panel."""
    axes.set_ylim(max(len(order), 1) - 0.5, -0.5)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    axes.tick_params(axis="y", length=0)
    for place in range(0, len(order), 2):
        axes.axhspan(place - 0.5, place + 0.5, color=BAND, linewidth=0, zorder=0)
    if 0 < (controls := sum(map(is_control, order))) < len(order):
        axes.axhline(len(order) - controls - 0.5, color=GREY, linewidth=0.7, zorder=1)
    for name, value in levels(rows, quantity):
        axes.axvline(value, zorder=1.5, **LEVELS[name])
    shown = compressed(rows)
    for ratio, look in style.items():
        dots = shown[shown["ratio"] == ratio].dropna(subset="value")
        places = [order.index(method) + look.shift for method in dots["method"]]
        bars = [(dots["value"] - dots["ci_low"]).fillna(0), (dots["ci_high"] - dots["value"]).fillna(0)]
        axes.errorbar(dots["value"], places, xerr=bars, elinewidth=0.8, capsize=0, zorder=3, **_marker(look))


def _marker(look: Look) -> dict[str, Any]:
    """A look as matplotlib's options."""
    options = {"markersize": 3.6, "markeredgewidth": 0.4, "markeredgecolor": "white", "linestyle": "none"}
    return {"color": look.color, "marker": look.marker, **options}


def _legend(figure: Figure, rows: pd.DataFrame, style: Mapping[float, Look], quantity: Quantity) -> None:
    """One legend above for the ratios and the lines down the panels."""
    lines = unique(name for name, _ in levels(rows, quantity))
    handles = [Line2D([], [], **LEVELS[name]) for name in lines] + [Line2D([], [], **_marker(look)) for look in style.values()]
    legend_above(figure, handles, [*lines, *(f"{percent(ratio)} removed" for ratio in style)])


def _caption(rows: pd.DataFrame, quantity: Quantity, used: Sequence[Scale]) -> str:
    shown = compressed(rows)
    scored = " by the mean over the panels" if rows["dataset"].nunique() > 1 or rows["model"].nunique() > 1 else ""
    controls = " Controls stand below the line." if shown["method"].map(is_control).any() else ""
    bars = not shown["ci_low"].dropna().empty
    return sentences(
        f"{quantity.noun}{of_models(unique(rows['model']))}: a line for each method, a mark for each share of parameters removed from the "
        f"compressed projections. The best is on top,{scored} at the highest ratio that all methods have.{controls}",
        f"Bars span {quantity.bars}." if bars else "",
        over_draws(shown, bars),
        level_words(rows, quantity),
        axis_words(used, "axis"),
    )
