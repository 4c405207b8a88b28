"""What fewer bytes buy: decode speed over that of dense against the bytes that a token reads no more, with the limit that memory sets."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from drank.reporting.figures import scales
from drank.reporting.figures.curves import LEVELS, blocks_of, errors, options_of, title
from drank.reporting.figures.method_order import compressed, crowded, standing, uncompressed
from drank.reporting.figures.quantity import THROUGHPUT
from drank.reporting.figures.sheet import Drawn, Width, legend_above, note, panels, styled
from drank.reporting.figures.style import MANY, Look, looks
from drank.reporting.figures.words import left_out, of_models, over_draws, sentences
from drank.reporting.material import Material
from drank.reporting.names import method_name, unique
from drank.reporting.neighbours import where

HEIGHT = 2.0
"""Inches of a panel."""

OTHER = Look("#b0b0b0", "o")
"""Methods that are not told apart, where there are many."""

LIMIT: dict[str, Any] = {"color": "#444444", "linewidth": 0.9, "linestyle": "-"}
"""The line at which a model is as much faster as it has fewer bytes."""


@styled
def draw(material: Material, width: Width) -> Drawn:
    """Decode speed over dense against dense bytes over a model's own, a panel for each model and variant; those not timed are left out."""
    points = points_of(material)
    if points.empty:
        return note("No decoding was timed of a compressed model and of the dense one.", width)
    figure, found = panels(blocks_of(points), width, HEIGHT, least=2.4)
    methods = standing({str(key): here for key, here in points.groupby(["model", "dataset"])}, less_is_better=False, logarithmic=True)
    named = methods[:MANY] if crowded(points) else methods
    style = dict.fromkeys(methods, OTHER) | looks(named)
    for (model, dataset), axes in found.items():
        here = points[(points["model"] == model) & (points["dataset"] == dataset)]
        axes.set_title(title(points, (model, dataset), THROUGHPUT))
        _marks(axes, here, style)
    figure.supxlabel("bytes read for a token, dense / compressed")
    figure.supylabel("decode tokens/s, × dense ↑")
    handles = [Line2D([], [], **LIMIT), Line2D([], [], **LEVELS["dense"])]
    handles += [Line2D([], [], color=style[name].color, marker=style[name].marker, linestyle="none") for name in named]
    others = [Line2D([], [], color=OTHER.color, marker=OTHER.marker, linestyle="none")] * (len(methods) > len(named))
    names = ["limit", "dense", *map(method_name, named), *["other methods"] * len(others)]
    legend_above(figure, [*handles, *others], names)
    return Drawn(figure, sentences(_caption(points, where(material.numbers)), left_out(material, points)))


def points_of(material: Material) -> pd.DataFrame:
    """A row for each compressed model and variant that was timed: the speed of decoding as `value`, and across it `fewer`.

    That is how many times the bytes of weights that it reads for a token the dense model reads, as both were loaded. Models without a
    dense row, and somebody else's checkpoints, which meet no ratio, are left out.
    """
    summary = material.over_draws().summary.drop_duplicates()
    summary = summary[summary["checkpoint"] == ""]
    speed = compressed(summary[(summary["metric"] == "speedup_over_dense") & summary["dataset"].str.startswith("decode")])
    read = summary[summary["metric"] == "weight_bytes"]
    dense = {(row.model, row.dataset): row.value for row in uncompressed(read).itertuples()}
    own = {(row.model, row.method, row.ratio, row.dataset): row.value for row in read.itertuples()}
    places = [(row, row.dataset.replace("decode", "memory", 1)) for row in speed.itertuples()]
    fewer = [
        dense.get((row.model, memory), math.nan) / own.get((row.model, row.method, row.ratio, memory), math.nan) for row, memory in places
    ]
    return speed.assign(fewer=pd.Series(fewer, index=speed.index, dtype="float64")).dropna(subset=["fewer", "value"])


def _marks(axes: Axes, rows: pd.DataFrame, style: dict[str, Look]) -> None:
    """The limit, dense, and a mark with its interval for each model, a thin line through the ratios of each method."""
    ends = [1.0, *rows["fewer"]]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], **LIMIT, zorder=1)
    axes.axhline(1, **LEVELS["dense"], zorder=0.5)
    for label, line in rows.sort_values("fewer").groupby("method", sort=False):
        options = options_of(style[str(label)]) | {"linewidth": 0.5, "zorder": 2 if style[str(label)] is OTHER else 3}
        axes.errorbar(line["fewer"], line["value"], yerr=errors(line), **options)
    scales.fit(axes, "x", ends, 2.3, wide=math.inf)
    values = rows[["value", "ci_low", "ci_high"]].to_numpy().ravel()
    scales.fit(axes, "y", [*values, *ends], HEIGHT - 0.5, wide=math.inf)
    axes.grid(visible=True, axis="both")


def _caption(points: pd.DataFrame, place: str) -> str:
    best = points.assign(share=points["value"] / points["fewer"]).sort_values("share").iloc[-1]
    bars = "Bars span 95\u202f% intervals of the median over the rounds." if points["ci_low"].notna().any() else ""
    return sentences(
        f"Decode speed{place}{of_models(unique(points['model']))} over that of the uncompressed model against how many times fewer bytes "
        "of weights a token reads. On the line a model is as much faster as it has fewer bytes, the limit where reading them is all that "
        "takes time; the dashed line is the uncompressed model.",
        bars,
        over_draws(points, bool(bars)),
        f"Nearest to the limit, or furthest beyond it, is {method_name(best['method'])} with {best['value']:.2f}\u202f× the speed at "
        f"{best['fewer']:.2f}\u202f× fewer bytes.",
    )
