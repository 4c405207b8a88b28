"""A few methods against the ratio: a line for each, and a panel for each model and data set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from drank.reporting.figures import scales
from drank.reporting.figures.method_order import compressed, uncompressed
from drank.reporting.figures.quantity import COLUMNS, Quantity
from drank.reporting.figures.sheet import Drawn, Width, legend_above, panels
from drank.reporting.figures.style import GREY, Look, emphasis, looks
from drank.reporting.figures.words import axis_words, of_models, over_draws, sentences
from drank.reporting.names import is_control, method_name, unique

HEIGHT = 1.4
"""Inches of a panel."""

Key = tuple[str, str]
"""A panel: model and data set."""

LEVELS: dict[str, dict[str, Any]] = {
    "dense": {"color": "black", "linestyle": "--", "linewidth": 1},
    "chance": {"color": GREY, "linestyle": ":", "linewidth": 1.2},
}
"""How the lines look that stand at values which no method changes."""


def draw(rows: pd.DataFrame, quantity: Quantity, width: Width) -> Drawn:
    """The figure of these rows, of the quantity."""
    figure, found = panels(blocks_of(rows), width, HEIGHT)
    parts = {key: rows[(rows["model"] == key[0]) & (rows["dataset"] == key[1])] for key in found}
    methods = sorted(unique(compressed(rows)["method"]), key=is_control)
    style = looks(methods)  # spare looks go by the names given, so that a panel's own would differ from those of the legend
    used = []
    for key, axes in found.items():
        axes.set_title(title(rows, key, quantity))
        _curves(axes, parts[key], quantity, style)
        used.append(fit_values(axes, "y", rows if quantity.shared else parts[key], quantity, HEIGHT - 0.4))
    figure.supxlabel("parameters removed (%)")
    figure.supylabel(quantity.label)
    _legend(figure, style, [name for name, _ in levels(rows, quantity)])
    return Drawn(figure, _caption(rows, quantity, methods, used))


def blocks_of(rows: pd.DataFrame) -> list[list[Key]]:
    """The panels by model; in one block where there is one data set only."""
    models, datasets = unique(rows["model"]), unique(rows["dataset"])
    found = [[(model, dataset) for dataset in datasets] for model in models]
    return [[key for block in found for key in block]] if len(datasets) == 1 else found


def title(rows: pd.DataFrame, key: Key, quantity: Quantity) -> str:
    """What tells a panel from the others: its model, its data set or both."""
    several = [rows[column].nunique() > 1 for column in ("model", "dataset")]
    return " · ".join(name for name, shown in zip(key, several, strict=True) if shown) or key[quantity.dataset is None]


def fit_values(
    axes: Axes, side: Any, rows: pd.DataFrame, quantity: Quantity, inches: float, wide: float = scales.WIDE_RANGE
) -> scales.Scale:
    """Make the axis of the values hold all of them; says how it goes."""
    wide = wide if quantity.logarithmic else math.inf
    shown, lines = compressed(rows), [value for _, value in levels(rows, quantity)]
    values = [*shown["value"], *lines] if quantity.less_is_better else []
    return scales.fit(axes, side, [*shown[COLUMNS].to_numpy().ravel(), *lines], inches, values, wide)


def levels(rows: pd.DataFrame, quantity: Quantity) -> list[tuple[str, float]]:
    """The values that no method changes, each with its name in `LEVELS`."""
    dense = [*uncompressed(rows)["value"].dropna(), *([] if quantity.dense is None else [quantity.dense])]
    return [("dense", value) for value in dense] + [("chance", value) for value in rows["chance"].dropna().unique()]


def options_of(look: Look) -> dict[str, Any]:
    """A look as matplotlib's options."""
    edge = {"markeredgewidth": 0.5, "markeredgecolor": "white"}
    return {"color": look.color, "marker": look.marker, "linestyle": look.line, "elinewidth": 0.8, **edge}


def errors(rows: pd.DataFrame) -> list[Any]:
    """How far the bars of these rows reach down and up, zero where there is no interval."""
    return [rows["value"] - rows["ci_low"].fillna(rows["value"]), rows["ci_high"].fillna(rows["value"]) - rows["value"]]


def _curves(axes: Axes, rows: pd.DataFrame, quantity: Quantity, style: Mapping[str, Look]) -> None:
    """One line with error bars for each method, set apart sideways; dense and chance as lines across."""
    for name, value in levels(rows, quantity):
        axes.axhline(value, **LEVELS[name], zorder=1)
    shown = _placed(rows)
    for method in unique(shown["method"]):
        line = shown[shown["method"] == method]
        axes.errorbar(line["x"], line["value"], yerr=errors(line), **options_of(style[method]), **emphasis(method))
    ratio_axis(axes, shown["ratio"])


def ratio_axis(axes: Axes, values: Iterable[float]) -> None:
    """The x axis of panels against the ratio: a number at each of the ratios."""
    ratios = sorted(set(values))
    axes.set_xticks([100 * ratio for ratio in ratios], [f"{100 * ratio:.4g}" for ratio in ratios])
    if ratios:
        axes.set_xlim(100 * ratios[0] - 0.4 * gap(ratios), 100 * ratios[-1] + 0.4 * gap(ratios))


def gap(ratios: Sequence[float]) -> float:
    """The smallest distance between two ratios, in percent; 10 where there is but one."""
    return 100 * min((b - a for a, b in pairwise(ratios)), default=0.1)


def _placed(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of compressed models by ratio, with the place `x` at which each is drawn: methods stand side by side, controls last."""
    shown = compressed(rows).sort_values("ratio", kind="stable")
    methods = sorted(unique(rows["method"][rows["ratio"] > 0]), key=is_control)
    ratios = sorted(shown["ratio"].unique())
    reach = (0.5 if len(ratios) == 1 else 0.2) * gap(ratios)
    places = {method: reach * ((index + 0.5) / len(methods) - 0.5) for index, method in enumerate(methods)}
    return shown.assign(x=100 * shown["ratio"] + shown["method"].map(places).astype("float64"))


def _legend(figure: Figure, style: Mapping[str, Look], levels: Sequence[str]) -> None:
    """A legend of all levels and methods above the panels."""
    blank = figure.add_axes((0, 0, 0, 0), visible=False)
    handles: list[Any] = [blank.axhline(1, **LEVELS[name]) for name in unique(levels)]
    handles += [
        blank.errorbar([1], [1], **options_of(look), linewidth=emphasis(method).get("linewidth", 1.2)) for method, look in style.items()
    ]
    legend_above(figure, handles, [*unique(levels), *map(method_name, style)])


def level_words(rows: pd.DataFrame, quantity: Quantity) -> str:
    """What the lines at the levels are."""
    words = {"dense": "The dashed line is the uncompressed model.", "chance": "The dotted line is what guessing earns."}
    return sentences(*(words[name] for name in unique(name for name, _ in levels(rows, quantity))))


def _caption(rows: pd.DataFrame, quantity: Quantity, methods: Sequence[str], used: Sequence[scales.Scale]) -> str:
    bars = not compressed(rows)["ci_low"].dropna().empty
    aside = " Methods are set apart sideways so that their bars can be told apart." if len(methods) > 1 else ""
    return sentences(
        f"{quantity.noun}{of_models(unique(rows['model']))} against the share of parameters removed from the compressed projections."
        if methods
        else f"{quantity.noun}{of_models(unique(rows['model']))}; no compressed model was measured.",
        f"Bars span {quantity.bars}.{aside}" if bars else "",
        over_draws(compressed(rows), bars),
        level_words(rows, quantity),
        axis_words(used, "axis"),
    )
