"""Perplexity along an axis of the runs whose values are numbers: amounts of text, corrections, layers that share a basis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from drank.reporting.figures import scales
from drank.reporting.figures.curves import LEVELS, errors, level_words, options_of
from drank.reporting.figures.method_order import uncompressed
from drank.reporting.figures.quantity import PERPLEXITY
from drank.reporting.figures.series import blocks_of, series, title
from drank.reporting.figures.sheet import Drawn, Width, legend_above, note, panels, styled
from drank.reporting.figures.style import emphasis, looks
from drank.reporting.figures.words import axis_words, left_out, listed, of_models, over_draws, sentences
from drank.reporting.material import Material
from drank.reporting.names import is_control, method_name, percent, unique

HEIGHT = 1.5
"""Inches of a panel."""

LABELS = {"windows": "windows of calibration text"}
"""What axes are called along a figure, where their names do not say it."""


@styled
def draw(material: Material, width: Width) -> Drawn:
    """Perplexity along the axis that the option `axis` names, a panel for each model, corpus and ratio.

    A run that does not stand on it is a line across.
    """
    axis = material.options["axis"]
    rows = series(material, axis)
    if rows.empty or rows[axis].dropna().empty:
        return note(f"No perplexity was measured of runs along {_label(axis)}.", width)
    places = sorted(map(float, unique(rows[axis].dropna())))
    figure, found = panels(blocks_of(rows), width, HEIGHT)
    methods = sorted(unique(rows["series"]), key=is_control)
    dense = uncompressed(material.numbers[material.numbers["metric"] == PERPLEXITY.metric])
    used = []
    for key, axes in found.items():
        shown = rows[(rows["model"] == key.model) & (rows["dataset"] == key.dataset) & (rows["ratio"] == key.ratio)]
        level = list(dense["value"][(dense["model"] == key.model) & (dense["dataset"] == key.dataset)].unique())
        axes.set_title(title(rows, key))
        for value in level:
            axes.axhline(value, **LEVELS["dense"], zorder=1)
        _panel(axes, shown, methods, axis)
        across = _at(axes, places, axes.get_position().width * figure.get_figwidth())
        ends = [*shown[["value", "ci_low", "ci_high"]].to_numpy().ravel(), *level]
        used.append(scales.fit(axes, "y", ends, HEIGHT - 0.4, [*shown["value"], *level]))
    figure.supxlabel(_label(axis))
    figure.supylabel(PERPLEXITY.label)
    style = looks(methods)
    marks = {one: style[one].marker if one in set(rows.dropna(subset=axis)["series"]) else "" for one in methods}
    told: list[dict[str, Any]] = [{"color": style[one].color, "marker": marks[one], "linestyle": style[one].line} for one in methods]
    told += [LEVELS["dense"]] if len(dense) else []
    legend_above(figure, [Line2D([], [], **one) for one in told], [*map(method_name, methods), *(["dense"] if len(dense) else [])])
    told_axes = axis_words(used, "vertical axis"), axis_words([across], "horizontal axis")
    return Drawn(figure, sentences(_caption(rows, axis, places), level_words(dense, PERPLEXITY), *told_axes, left_out(material, rows)))


def _label(axis: str) -> str:
    return LABELS.get(axis, axis.replace("_", " "))


def _panel(axes: Axes, rows: pd.DataFrame, methods: Sequence[str], axis: str) -> None:
    """A line with bars for each method that stands on the axis, a line across for the others."""
    style = looks(methods)
    for method in methods:
        line = rows[rows["series"] == method]
        along = line.dropna(subset=axis).sort_values(axis, key=lambda values: values.astype("float64"))
        if len(along):
            axes.errorbar(
                along[axis].astype("float64"), along["value"], yerr=errors(along), **options_of(style[method]), **emphasis(method)
            )
        for value in line.loc[line[axis].isna(), "value"]:
            axes.axhline(value, color=style[method].color, linestyle=style[method].line, linewidth=0.8, zorder=1)


def _at(axes: Axes, places: Sequence[float], inches: float) -> scales.Scale:
    """Numbers along the axis at its values, or at as many as can be told apart; says how the axis goes."""
    scale = scales.fit(axes, "x", places, inches)
    low, high = (axes.transData.transform((place, 1))[0] for place in (places[0], places[-1]))
    kept = [places[-1]]
    for place in reversed(places[:-1]):
        apart = (axes.transData.transform((kept[-1], 1))[0] - axes.transData.transform((place, 1))[0]) / (high - low) * inches * 0.85
        if apart >= scales.beside([place, kept[-1]]):
            kept.append(place)
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_major_formatter(FuncFormatter(scales.plain))
    axes.xaxis.set_minor_locator(NullLocator())
    return scale


def _caption(rows: pd.DataFrame, axis: str, places: Sequence[float]) -> str:
    across = unique(rows.loc[rows[axis].isna(), "series"])
    removed = listed(map(percent, sorted(rows["ratio"].unique())))
    return sentences(
        f"Perplexity{of_models(unique(rows['model']))} along {_label(axis)} ({listed(map(scales.plain, places))}), "
        f"{removed} of the parameters removed. Bars span {PERPLEXITY.bars} of the measured text.",
        over_draws(rows),
        f"A line across is {listed(map(method_name, across))} without a value there." if across else "",
    )
