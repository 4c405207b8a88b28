"""What a byte and a token per second buy: perplexity against what is stored and against decode speed, with the Pareto fronts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from drank.reporting.figures import scales
from drank.reporting.figures.method_order import compressed, crowded, uncompressed
from drank.reporting.figures.sheet import Drawn, Width, legend_above, note, panels, styled
from drank.reporting.figures.style import Look, looks
from drank.reporting.figures.words import axis_words, listed, of_models, over_draws, sentences
from drank.reporting.material import Material
from drank.reporting.names import competes, is_dense, method_name, percent, unique
from drank.reporting.neighbours import where

HEIGHT = 2.0
"""Inches of a panel."""

OTHER = Look("#b0b0b0", "o")
"""Methods that are not told apart, where there are many."""

FRONT: dict[str, Any] = {"color": "#444444", "linewidth": 0.8, "linestyle": "-", "alpha": 0.8, "zorder": 1}

AXES = {"bytes": "stored bytes, % of dense", "speed": "decode tokens/s, × dense ↑"}
"""What stands across, with the labels."""


@styled
def draw(material: Material, width: Width) -> Drawn:
    """Perplexity on the first corpus against stored bytes, and against decode speed if measured.

    A mark for each model that was measured, the uncompressed one and comparators among them; the front is of those that none beats in both.
    """
    points = points_of(material)
    if compressed(points).empty and not points["comparator"].any():
        return note("No perplexity was measured of a smaller model and of the dense one.", width)
    across = [name for name in AXES if points[name].nunique() > 1 or name == "bytes"]
    models = unique(points["model"])
    figure, found = panels([[(model, name) for name in across] for model in models], width, HEIGHT, least=2.4)
    style = _styles(points, across)
    used = []
    for (model, name), axes in found.items():
        here = points[(points["model"] == model)].dropna(subset=name)
        _marks(axes, here, name, style)
        if len(models) > 1:
            axes.set_title(model)
        axes.set_xlabel(AXES[name])
        axes.axhline(here.loc[here["method"].map(is_dense), "value"].iloc[0], color="black", linestyle="--", linewidth=0.8, zorder=0.5)
        used.append(scales.fit(axes, "y", here["value"], HEIGHT - 0.5, here["value"], wide=1))
        scales.fit(axes, "x", here[name], 2.3, wide=1.5)
        axes.grid(visible=True, axis="both")
    figure.supylabel(f"perplexity on {points['dataset'].iloc[0]} ↓")
    others = any(style[label] is OTHER for label in style)
    named = [label for label in style if style[label] is not OTHER]
    handles = [Line2D([], [], **_marker(style[label]), linestyle="none") for label in named]
    handles += [Line2D([], [], **_marker(OTHER), linestyle="none")] if others else []
    legend_above(
        figure, [*handles, Line2D([], [], **FRONT)], [*map(method_name, named), *(["other methods"] if others else []), "Pareto front"]
    )
    return Drawn(figure, sentences(_caption(points, across, material, others), axis_words(used, "axis of perplexity")))


def points_of(material: Material) -> pd.DataFrame:
    """A row for each model that was measured: perplexity as `value`, `nats` over dense, and whether it is a `comparator`.

    Its `bytes` are in percent of the dense model's, decode `speed` is over that of dense, NaN where it was not measured.
    A comparator is what a user would pick instead: every checkpoint that no method of ours made. Controls that remove nothing are left
    out, and so are models without a dense row.
    """
    summary = material.over_draws().summary.drop_duplicates()
    rows = summary[summary["metric"] == "perplexity"]
    rows = rows[rows["dataset"] == next(iter(rows["dataset"]), None)]
    rows = rows.assign(comparator=rows["checkpoint"] != "")
    rows = rows[rows["comparator"] | (rows["ratio"] > 0) | rows["method"].map(is_dense).astype(bool)]
    dense = uncompressed(rows).set_index("model")
    rows = rows[rows["model"].isin(dense.index)]
    speed = summary[(summary["metric"] == "speedup_over_dense") & (summary["dataset"] == "decode")]
    speeds = {(row.model, row.method, row.ratio): row.value for row in speed.itertuples()}
    return rows.assign(
        bytes=[100 * row.bytes / dense.loc[row.model, "bytes"] for row in rows.itertuples()],
        nats=[math.log(row.value / dense.loc[row.model, "value"]) for row in rows.itertuples()],
        speed=[
            1.0 if is_dense(row.method) and speeds else speeds.get((row.model, row.method, row.ratio), math.nan)
            for row in rows.itertuples()
        ],
    )


def front(rows: pd.DataFrame, across: str) -> pd.DataFrame:
    """The rows that no other beats in perplexity and in what stands across, from the best perplexity on."""
    best, kept = math.inf, []
    ordered = rows.dropna(subset=across).assign(cost=lambda found: found[across] * (1 if across == "bytes" else -1))
    for row in ordered.sort_values(["value", "cost"]).itertuples():
        if row.cost < best:
            best = row.cost
            kept.append(row.Index)
    return rows.loc[kept]


def _styles(points: pd.DataFrame, across: Sequence[str]) -> dict[str, Look]:
    """A look for each method: dense and comparators in black, and where there are many, only those on a front in a colour."""
    comparators = unique(points.loc[points["comparator"], "method"])
    methods = unique(compressed(points[~points["comparator"]])["method"])
    fronts = {label for _, here in points.groupby("model") for name in across for label in front(here, name)["method"]}
    named = [method for method in methods if method in fronts] if crowded(points) else methods
    black = {label: Look("#000000", marker) for label, marker in zip(comparators, "*PX^v<>sD" * (1 + len(comparators) // 9), strict=False)}
    found = {label: Look("#000000", "o") for label in unique(points["method"]) if is_dense(label)} | black
    return found | {method: looks(named)[method] if method in named else OTHER for method in methods}


def _marker(look: Look) -> dict[str, Any]:
    size = {"*": 7.0}.get(look.marker, 4.2)
    return {"color": look.color, "marker": look.marker, "markersize": size, "markeredgewidth": 0.4, "markeredgecolor": "white"}


def _marks(axes: Axes, rows: pd.DataFrame, name: str, style: dict[str, Look]) -> None:
    """The marks of one panel, a thin line through the ratios of each method, and the front."""
    for label, line in rows.groupby("method", sort=False):
        look = style[str(label)]
        order = 2 if look is OTHER else 4 if line["comparator"].any() else 3
        axes.plot(line[name], line["value"], **_marker(look), linewidth=0.5, zorder=order)
    best = front(rows, name)
    axes.plot(best[name], best["value"], **FRONT)


def _caption(points: pd.DataFrame, across: Sequence[str], material: Material, others: bool) -> str:
    models = unique(points["model"])
    seconds = f" and against decode speed{where(material.numbers)} over dense" if len(across) > 1 else ""
    return sentences(
        f"Perplexity{of_models(models)} on {points['dataset'].iloc[0]} against the bytes stored (scales, shared bases included){seconds}; "
        "a thin line joins the ratios of one method, the dashed line is the perplexity of the uncompressed model.",
        over_draws(points, bars=False),
        "Comparators, which a user could pick instead, are black." if points["comparator"].any() else "",
        "Of the methods, only those on a front have a colour." if others else "",
        *_told(points),
        *unique(note for model, note in material.notes.items() if model in models),
    )


def _told(points: pd.DataFrame) -> Iterator[str]:
    """What comparators lose against what low rank loses, and who stands on the front, by model."""
    for model, here in points.groupby("model", sort=False):
        of = f"{model}: " if points["model"].nunique() > 1 else ""
        words = [
            f"{method_name(row.method)} stores {row.bytes:.0f}\u202f% of the bytes and loses {row.nats:.3f} nats per token"
            for row in here[here["comparator"]].itertuples()
        ]
        low_rank = compressed(here[~here["comparator"] & here["method"].map(competes).astype(bool)])
        if len(low_rank):
            row = low_rank.loc[low_rank["nats"].idxmin()]
            words.append(
                f"the least that a low-rank method loses is {row['nats']:.3f}, {method_name(row['method'])} at {percent(row['ratio'])} "
                f"with {row['bytes']:.0f}\u202f% of the bytes"
            )
        best = front(here, "bytes")
        marks = [f"{method_name(row.method)}{f' at {percent(row.ratio)}' if row.ratio else ''}" for row in best.itertuples()]
        told = f"{of}{'; '.join(words)}"
        yield f"{told[:1].upper() if not of else told[:1]}{told[1:]}. On the front of bytes: {listed(marks)}.".replace("-0.000", "0.000")
