"""Perplexity by draw of the calibration text (the paper's figure 5): a mark for each draw, and the mean of each method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from drank.reporting.figures import scales
from drank.reporting.figures.quantity import PERPLEXITY
from drank.reporting.figures.series import blocks_of, series, title
from drank.reporting.figures.sheet import Drawn, Width, legend_above, note, panels, styled
from drank.reporting.figures.style import looks
from drank.reporting.figures.words import axis_words, left_out, listed, of_models, sentences
from drank.reporting.material import Material
from drank.reporting.names import is_control, method_name, number, percent, unique

HEIGHT = 1.5
"""Inches of a panel."""


@styled
def draw(material: Material, width: Width) -> Drawn:
    """Perplexity by draw, a panel for each model, corpus and ratio.

    The draws are those of the axis `draw` of the material; a method that does not stand on it is a line across.
    """
    rows = series(material, "draw")
    if rows.empty or "draw" not in material.axes:
        return note("No perplexity was measured by draw of the calibration text.", width)
    names = unique(rows["draw"].dropna())
    figure, found = panels(blocks_of(rows), width, HEIGHT)
    methods = sorted(unique(rows["series"]), key=is_control)
    used = []
    for key, axes in found.items():
        shown = rows[(rows["model"] == key.model) & (rows["dataset"] == key.dataset) & (rows["ratio"] == key.ratio)]
        axes.set_title(title(rows, key))
        _panel(axes, shown, methods, names)
        used.append(scales.fit(axes, "y", shown["value"], HEIGHT - 0.4, shown["value"]))
    figure.supxlabel("draw of the calibration text")
    figure.supylabel(PERPLEXITY.label)
    style = looks(methods)
    legend_above(figure, [Line2D([], [], **_marker(style[method])) for method in methods], list(map(method_name, methods)))
    return Drawn(figure, sentences(_caption(rows, names), axis_words(used, "axis"), left_out(material, rows)))


def _marker(look: Any) -> dict[str, Any]:
    return {"color": look.color, "marker": look.marker, "linewidth": 1, "markeredgewidth": 0.5, "markeredgecolor": "white"}


def _panel(axes: Axes, rows: pd.DataFrame, methods: Sequence[str], names: Sequence[Any]) -> None:
    """Marks at the draws, methods set apart sideways, and a thin line across at each mean."""
    style = looks(methods)
    for place, method in enumerate(methods):
        line = rows[rows["series"] == method]
        if line.empty:
            continue
        drawn = line.dropna(subset="draw")
        aside = 0.5 * ((place + 0.5) / len(methods) - 0.5)
        axes.axhline(line["value"].mean(), color=style[method].color, linewidth=0.8, zorder=1, alpha=0.8)
        axes.plot([names.index(draw) + aside for draw in drawn["draw"]], drawn["value"], **(_marker(style[method]) | {"linestyle": "none"}))
    axes.set_xticks(range(len(names)), [f"{name:g}" if isinstance(name, int | float) else str(name) for name in names])
    axes.set_xlim(-0.5, len(names) - 0.5)


def _caption(rows: pd.DataFrame, names: Sequence[Any]) -> str:
    spread = rows.dropna(subset="draw").groupby(["model", "dataset", "ratio", "series"])["value"].agg(["min", "max", "count"])
    spread = spread[spread["count"] > 1].assign(factor=lambda found: found["max"] / found["min"])
    fixed = unique(rows.loc[rows["draw"].isna(), "series"])
    widest = ""
    if len(spread):
        model, dataset, ratio, method = spread["factor"].idxmax()
        low, high = spread.loc[(model, dataset, ratio, method), ["min", "max"]]
        widest = (
            f"The widest spread is that of {method_name(method)} at {percent(ratio)} on {dataset}"
            f"{f' ({model})' if rows['model'].nunique() > 1 else ''}: {number(low)} to {number(high)}."
        )
    return sentences(
        f"Perplexity{of_models(unique(rows['model']))} by draw of the calibration text ({len(names)} seeds), "
        f"{listed(map(percent, sorted(rows['ratio'].unique())))} of the parameters removed; a thin line across is the mean of a method. "
        "Methods are set apart sideways.",
        f"{listed(map(method_name, fixed))} {'were' if len(fixed) > 1 else 'was'} not drawn again." if fixed else "",
        widest,
    )
