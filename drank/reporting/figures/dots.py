"""Quality and speed of many methods: a line of the page for each of them, a dot for each ratio, the best on top."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from matplotlib.ticker import MaxNLocator

from drank.reporting.figures.method_order import compressed, standing, uncompressed
from drank.reporting.figures.scales import log_across
from drank.reporting.figures.style import DOUBLE, GREY, legend_above
from drank.reporting.names import is_control, method_name, percent, unique

ROW, BLOCK, PANEL = 0.155, 0.5, 1.35
"""Inches: the height of a method's line, what a block needs above and below its lines, the least width of a panel."""

COLUMNS = 4
"""Models side by side where a panel shows all there is of a model."""


BAND = "#f3f3f3"

Panels = Mapping[str, pd.DataFrame]
"""What stands side by side, by title, and shares one column of method names."""


@dataclass(frozen=True)
class Scale:
    """The x axis: its label, which end is better, whether it is logarithmic, whether the panels of a block share its range.

    `dense` is where the dense model stands if no row says it.
    """

    label: str
    less_is_better: bool = False
    logarithmic: bool = True
    shared: bool = True
    dense: float | None = None


@dataclass(frozen=True)
class Look:
    """How the dots of one ratio look, and how far from the middle of its line each stands."""

    color: str
    marker: str
    shift: float


def perplexity(rows: pd.DataFrame) -> Figure:
    """A block of methods for each model, a panel for each corpus."""
    return _draw(_blocks(rows), Scale("perplexity ↓", less_is_better=True, shared=False))


def accuracy(rows: pd.DataFrame) -> Figure:
    """A block of methods for every few models, a panel for each model."""
    models = unique(rows["model"])
    chunks = [models[first : first + COLUMNS] for first in range(0, len(models), COLUMNS)]
    blocks = {str(index): {model: rows[rows["model"] == model] for model in chunk} for index, chunk in enumerate(chunks)}
    return _draw(blocks, Scale("average accuracy (%) ↑", logarithmic=False), headed=False)


def throughput(rows: pd.DataFrame) -> Figure:
    """A block of methods for each model, a panel for each phase."""
    return _draw(_blocks(rows), Scale("tokens/s, × dense ↑", dense=1.0))


def _blocks(rows: pd.DataFrame) -> dict[str, Panels]:
    """The rows by model and data set; every model has a panel for each data set, be it empty."""
    datasets = unique(rows["dataset"])
    return {
        model: {name: rows[(rows["model"] == model) & (rows["dataset"] == name)] for name in datasets} for model in unique(rows["model"])
    }


def _draw(blocks: Mapping[str, Panels], scale: Scale, headed: bool = True) -> Figure:
    """The figure of these blocks, one above the other; their names head the column of methods where there are several."""
    everything = pd.concat([rows for panels in blocks.values() for rows in panels.values()])
    style = _looks(sorted(compressed(everything)["ratio"].unique()))
    options = {"less_is_better": scale.less_is_better, "logarithmic": scale.logarithmic}
    orders = {name: standing(panels, **options) for name, panels in blocks.items()}
    sizes = [max(len(order), 2) for order in orders.values()]
    columns = max(len(panels) for panels in blocks.values())
    names = 0.35 + 0.055 * max((len(method_name(method)) for order in orders.values() for method in order), default=0)
    width = max(PANEL, (DOUBLE - names) / columns)
    height = 0.6 + sum(ROW * size + BLOCK for size in sizes)
    figure = Figure(figsize=(names + width * columns, height), layout=ConstrainedLayoutEngine(w_pad=0.06))
    grid = figure.subplots(len(blocks), columns, squeeze=False, height_ratios=sizes)
    for (name, panels), line in zip(blocks.items(), grid, strict=True):
        together = pd.concat(panels.values())
        for axes, (title, rows) in zip(line, panels.items(), strict=False):
            axes.set_title(title)
            _panel(axes, rows, orders[name], style, scale.dense)
            _limits(axes, together if scale.shared else rows, scale, width - 0.15)
        _name_lines(line[0], orders[name], name if headed and len(blocks) > 1 else "")
        for axes in line[len(panels) :]:
            axes.set_visible(False)
    figure.supxlabel(scale.label, fontsize=8)
    _legend(figure, everything, style, scale.dense)
    return figure


def _looks(ratios: Sequence[float]) -> dict[float, Look]:
    """A look for each ratio, the darker the more is removed."""
    colors = mpl.colormaps["viridis"](np.linspace(0.72, 0.08, len(ratios)))
    middle = (len(ratios) - 1) / 2
    return {
        ratio: Look(to_hex(color), "os^Dv<>P"[index % 8], 0.56 * (index - middle) / len(ratios))
        for index, (ratio, color) in enumerate(zip(ratios, colors, strict=True))
    }


def _name_lines(axes: Axes, order: Sequence[str], heading: str) -> None:
    """The names of the methods beside the first panel, controls in grey; the heading above them."""
    axes.set_yticks(range(len(order)), [method_name(method) for method in order])
    for label, method in zip(axes.get_yticklabels(), order, strict=True):
        label.set_color(GREY if is_control(method) else "black")
    axes.annotate(heading, (0, 1), (-4, 6), xycoords="axes fraction", textcoords="offset points", ha="right", fontsize=8, fontweight="bold")


def _panel(axes: Axes, rows: pd.DataFrame, order: Sequence[str], style: Mapping[float, Look], dense: float | None) -> None:
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
    for value, options in _levels(rows, dense):
        axes.axvline(value, zorder=1.5, **options)
    shown = compressed(rows)
    for ratio, look in style.items():
        dots = shown[shown["ratio"] == ratio].dropna(subset="value")
        places = [order.index(method) + look.shift for method in dots["method"]]
        bars = [(dots["value"] - dots["ci_low"]).fillna(0), (dots["ci_high"] - dots["value"]).fillna(0)]
        axes.errorbar(dots["value"], places, xerr=bars, elinewidth=0.8, capsize=0, zorder=3, **_marker(look))


def _levels(rows: pd.DataFrame, dense: float | None) -> Iterator[tuple[float, dict[str, Any]]]:
    """The values that do not depend on the method, and how their lines look."""
    for value in [*uncompressed(rows)["value"].dropna(), *([] if dense is None else [dense])]:
        yield value, {"color": "black", "linestyle": "--", "linewidth": 1}
    for value in rows["chance"].dropna().unique():
        yield value, {"color": GREY, "linestyle": ":", "linewidth": 1.2}


def _marker(look: Look) -> dict[str, Any]:
    """A look as matplotlib's options."""
    options = {"markersize": 4, "markeredgewidth": 0.4, "markeredgecolor": "white", "linestyle": "none"}
    return {"color": look.color, "marker": look.marker, **options}


def _limits(axes: Axes, rows: pd.DataFrame, scale: Scale, width: float) -> None:
    """Limits that hold every dot, bar and level with some air, and numbers that fit a panel `width` inches wide."""
    levels = [value for value, _ in _levels(rows, scale.dense)]
    ends = [value for value in (*rows[["value", "ci_low", "ci_high"]].to_numpy().ravel(), *levels) if np.isfinite(value)]
    if not ends:
        axes.set_xticks([])
    elif scale.logarithmic:
        air = max((max(ends) / min(ends)) ** 0.05, 1.01)
        log_across(axes, min(ends) / air, max(ends) * air, width)
    else:
        air = max(0.05 * (max(ends) - min(ends)), 0.5)
        axes.set_xlim(min(ends) - air, max(ends) + air)
        axes.xaxis.set_major_locator(MaxNLocator(min(8, max(2, int(width / 0.36))), steps=[1, 2, 5, 10]))


def _legend(figure: Figure, rows: pd.DataFrame, style: Mapping[float, Look], dense: float | None) -> None:
    """One legend above for the ratios and the lines down the panels."""
    lines = {("dense" if options["linestyle"] == "--" else "chance"): options for _, options in _levels(rows, dense)}
    handles = [Line2D([], [], **options) for options in lines.values()] + [Line2D([], [], **_marker(look)) for look in style.values()]
    legend_above(figure, handles, [*lines, *(f"{percent(ratio)} removed" for ratio in style)])
