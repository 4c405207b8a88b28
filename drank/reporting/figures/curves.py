"""Quality and speed against ratio: perplexity, accuracy, throughput."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from drank.reporting.comparisons import AVERAGE
from drank.reporting.figures import dots
from drank.reporting.figures.method_order import compressed, crowded
from drank.reporting.figures.scales import is_wide, plain_numbers
from drank.reporting.figures.style import DOUBLE, GREY, Look, emphasis, grid, legend_above, level, looks, note, styled
from drank.reporting.names import is_control, is_dense, method_name, number, unique

OFF_SCALE = 2.5
"""Values above this multiple of the best one at the largest ratio are printed above the panel; drawn, they would flatten all others."""


@styled
def perplexity(summary: pd.DataFrame) -> Figure:
    """Perplexity against ratio: a row of panels for each model, a column for each corpus."""
    rows = summary[summary["metric"] == "perplexity"]
    if rows.empty:
        return note("No perplexity was measured.")
    if crowded(rows):
        return dots.perplexity(rows)
    models, corpora = unique(rows["model"]), unique(rows["dataset"])
    figure, panels = grid(len(models), len(corpora), max(2.2, DOUBLE / max(len(corpora), 1)), 1.95 if len(models) > 1 else 2.2)
    for model, line in zip(models, panels, strict=True):
        for corpus, axes in zip(corpora, line, strict=True):
            here = rows[(rows["model"] == model) & (rows["dataset"] == corpus)]
            axes.set_title(corpus if len(models) == 1 else f"{model} · {corpus}")
            _curves(axes, here)
            _log_if_wide(axes, _clip(axes, here))
        line[0].set_ylabel("perplexity ↓")
    _finish(figure, panels, rows)
    return figure


@styled
def accuracy(summary: pd.DataFrame) -> Figure:
    """Average accuracy against ratio, a panel for each model."""
    rows = summary[(summary["metric"] == "accuracy") & (summary["dataset"] == AVERAGE)].copy()
    if rows.empty:
        return note("No accuracy was measured.")
    rows[["value", "ci_low", "ci_high", "chance"]] *= 100
    if crowded(rows):
        return dots.accuracy(rows)
    models = unique(rows["model"])
    figure, panels = grid(1, len(models), max(2.6, min(3.45, DOUBLE / len(models))), 2.5, sharey=True)
    for model, axes in zip(models, panels[0], strict=True):
        here = rows[rows["model"] == model]
        _curves(axes, here)
        for chance in here["chance"].dropna().unique():
            level(axes, chance, "chance", GREY, ":")
        axes.set_title(model)
    panels[0][0].set_ylabel("average accuracy (%) ↑")
    _finish(figure, panels, rows)
    return figure


@styled
def throughput(summary: pd.DataFrame) -> Figure:
    """Speed over that of dense against ratio: a row of panels for each model, a column for each phase."""
    rows = summary[summary["metric"] == "speedup_over_dense"]
    if rows.empty:
        return note("No throughput was measured of a compressed model and of the dense one.")
    if crowded(rows):
        return dots.throughput(rows)
    models, phases = unique(rows["model"]), unique(rows["dataset"])
    figure, panels = grid(len(models), len(phases), DOUBLE / max(2, len(phases)), 1.95 if len(models) > 1 else 2.3, sharey="row")
    for model, line in zip(models, panels, strict=True):
        for phase, axes in zip(phases, line, strict=True):
            _curves(axes, rows[(rows["model"] == model) & (rows["dataset"] == phase)])
            level(axes, 1, "dense", "black", "--")
            axes.set_title(phase if len(models) == 1 else f"{model} · {phase}")
        line[0].set_ylabel("tokens/s, × dense ↑")
    _finish(figure, panels, rows)
    return figure


def _curves(axes: Axes, rows: pd.DataFrame) -> None:
    """One line with error bars for each method, set apart sideways; dense as a line across."""
    for value in rows.loc[rows["method"].map(is_dense), "value"]:
        axes.axhline(value, color="black", linestyle="--", linewidth=1, zorder=1)
    shown = _placed(rows)
    style = looks(unique(rows["method"]))
    for method in unique(shown["method"]):
        line = shown[shown["method"] == method]
        errors = [line["value"] - line["ci_low"].fillna(line["value"]), line["ci_high"].fillna(line["value"]) - line["value"]]
        axes.errorbar(line["x"], line["value"], yerr=errors, **_line(style[method]), **emphasis(method))
    ratios = sorted(shown["ratio"].unique())
    axes.set_xticks([100 * ratio for ratio in ratios], [f"{100 * ratio:.4g}" for ratio in ratios])
    if ratios:
        axes.set_xlim(100 * ratios[0] - 0.4 * _gap(ratios), 100 * ratios[-1] + 0.4 * _gap(ratios))


def _placed(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of compressed models by ratio, with the place `x` at which each is drawn: methods stand side by side, controls last."""
    shown = compressed(rows).sort_values("ratio", kind="stable")
    methods = sorted(unique(rows["method"][rows["ratio"] > 0]), key=is_control)
    ratios = sorted(shown["ratio"].unique())
    reach = (0.5 if len(ratios) == 1 else 0.2) * _gap(ratios)
    places = {method: reach * ((index + 0.5) / len(methods) - 0.5) for index, method in enumerate(methods)}
    return shown.assign(x=100 * shown["ratio"] + shown["method"].map(places).astype("float64"))


def _gap(ratios: Sequence[float]) -> float:
    """The smallest distance between two ratios, in percent; 10 where there is but one."""
    return 100 * min((b - a for a, b in pairwise(ratios)), default=0.1)


def _clip(axes: Axes, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that the panel shows in place, after the values of the others were printed above it."""
    shown = _placed(rows)
    if shown.empty:
        return rows
    ceiling = OFF_SCALE * shown.loc[shown["ratio"] == shown["ratio"].max(), "value"].min()
    inside, outside = rows[rows["value"] <= ceiling], shown[shown["value"] > ceiling]
    if outside.empty:
        return rows
    axes.set_ylim(0.94 * inside["value"].min(), 1.12 * inside["value"].max())
    style = looks(unique(rows["method"]))
    for _, same in outside.groupby("ratio"):
        for index, point in enumerate(same.sort_values("value").itertuples()):
            place, offset = (100 * point.ratio, 1), (0, 2 + 7.5 * index)
            options: dict[str, Any] = {
                "xycoords": ("data", "axes fraction"),
                "textcoords": "offset points",
                "ha": "center",
                "fontsize": 6.5,
            }
            axes.annotate(f"↑{number(point.value, 1)}", place, offset, color=style[point.method].color, **options)
    axes.set_title(axes.get_title(), pad=6 + 7.5 * outside.groupby("ratio").size().max())
    return inside


def _line(look: Look) -> dict[str, Any]:
    """A look as matplotlib's options."""
    return {
        "color": look.color,
        "marker": look.marker,
        "linestyle": look.line,
        "markeredgewidth": 0.5,
        "markeredgecolor": "white",
        "elinewidth": 0.9,
    }


def _log_if_wide(axes: Axes, rows: pd.DataFrame) -> None:
    """A logarithmic axis with plain numbers where the values span a wide range."""
    low, high = rows["value"].min(), rows["value"].max()
    if is_wide(low, high):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 200 else (1.0,)))
        plain_numbers(axes.yaxis)


def _finish(figure: Figure, panels: Sequence[Sequence[Axes]], rows: pd.DataFrame) -> None:
    """The label of the ratio below the lowest panels, and a legend of all methods above."""
    for axes in panels[-1]:
        axes.set_xlabel("parameters removed (%)")
    methods = sorted(unique(rows["method"]), key=is_control)
    style = looks(methods)
    handles: list[Any] = []
    labels: list[str] = []
    blank = figure.add_axes((0, 0, 0, 0), visible=False)
    for method in methods:
        if is_dense(method):
            handles.append(blank.axhline(1, color="black", linestyle="--", linewidth=1))
        elif (rows.loc[rows["method"] == method, "ratio"] > 0).any():
            container: ErrorbarContainer = blank.errorbar(
                [1], [1], **_line(style[method]), linewidth=emphasis(method).get("linewidth", 1.3)
            )
            handles.append(container)
        else:
            continue
        labels.append(method_name(method))
    legend_above(figure, handles, labels)
