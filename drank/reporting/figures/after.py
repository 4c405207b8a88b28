"""Perplexity by ratio after fine-tuning by LoRA, beside the same factors without (the paper's figure 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from drank.reporting.figures.curves import HEIGHT, LEVELS, blocks_of, fit_values, level_words, levels, ratio_axis, title
from drank.reporting.figures.method_order import compressed
from drank.reporting.figures.quantity import PERPLEXITY
from drank.reporting.figures.sheet import Drawn, Width, legend_above, note, panels, styled
from drank.reporting.figures.style import looks
from drank.reporting.figures.words import axis_words, left_out, listed, of_models, over_draws, sentences
from drank.reporting.material import Material
from drank.reporting.names import method_name, number, percent, unique
from drank.variants import without

OWN = {"title", "paper", "finetune_from"}
"""Settings in which a method and its fine-tuned form may differ."""


@styled
def draw(material: Material, width: Width) -> Drawn:
    """Perplexity by ratio, a panel for each model and corpus: full lines after fine-tuning, broken lines without.

    Two methods are one line's two forms where the settings in their plans, or else their labels, differ in `finetune_from` alone.
    """
    rows = PERPLEXITY.rows(material)
    rows = rows.assign(trained=rows["follows"].str.contains("LoRA"), pair=rows["method"])
    if not rows["trained"].any():
        return note("No perplexity was measured of a fine-tuned model.", width)
    partners = _partners(material, unique(rows.loc[rows["trained"], "method"]))
    rows = rows.assign(pair=rows["method"].map(lambda label: partners.get(label, label)))
    shown = rows[rows["trained"] | ~rows["method"].isin(partners)]
    figure, found = panels(blocks_of(shown), width, HEIGHT)
    used = []
    for key, axes in found.items():
        here = shown[(shown["model"] == key[0]) & (shown["dataset"] == key[1])]
        axes.set_title(title(shown, key, PERPLEXITY))
        _lines(axes, here, shown)
        used.append(fit_values(axes, "y", here, PERPLEXITY, HEIGHT - 0.4))
    figure.supxlabel("parameters removed (%)")
    figure.supylabel(PERPLEXITY.label)
    pairs = unique(compressed(shown)["pair"])
    style = looks(pairs)
    lines = unique(name for name, _ in levels(shown, PERPLEXITY))
    handles = [Line2D([], [], **LEVELS[name]) for name in lines]
    handles += [Line2D([], [], **_form("black", "", trained)) for trained in (True, False)]
    handles += [Line2D([], [], **_form(style[pair].color, style[pair].marker, trained=True)) for pair in pairs]
    legend_above(figure, handles, [*lines, "after LoRA", "without", *map(method_name, pairs)])
    return Drawn(figure, sentences(_caption(shown), level_words(shown, PERPLEXITY), axis_words(used, "axis"), left_out(material, rows)))


def _partners(material: Material, trained: list[str]) -> dict[str, str]:
    """The label of the form without fine-tuning of each fine-tuned method, where there is one; itself where there is none."""
    recipes: dict[str, dict[float, Mapping[str, Any]]] = {}
    for plan in material.plans:
        recipes.setdefault(plan.method, {})[plan.ratio] = {key: value for key, value in plan.settings.items() if key not in OWN}
    others = [label for label in unique(material.numbers["label"]) if label not in trained]

    def same(one: str, other: str) -> bool:
        first, second = recipes.get(one, {}), recipes.get(other, {})
        shared = first.keys() & second.keys()
        return without(one, "finetune_from") == other or (bool(shared) and all(first[ratio] == second[ratio] for ratio in shared))

    return {label: next((other for other in others if same(label, other)), label) for label in trained}


def _form(color: str, marker: str, trained: bool) -> dict[str, Any]:
    """How a method's line looks after fine-tuning and without."""
    line, face = ("-", color) if trained else ((0, (2, 1.5)), "white")
    return {"color": color, "marker": marker, "linestyle": line, "markerfacecolor": face}


def _lines(axes: Axes, rows: pd.DataFrame, everything: pd.DataFrame) -> None:
    """Two lines for each method, and those at levels."""
    for name, value in levels(rows, PERPLEXITY):
        axes.axhline(value, **LEVELS[name], zorder=1)
    style = looks(unique(compressed(everything)["pair"]))
    for (pair, trained), line in compressed(rows).sort_values("ratio").groupby(["pair", "trained"], sort=False):
        axes.plot(100 * line["ratio"], line["value"], **_form(style[pair].color, style[pair].marker, trained))
    ratio_axis(axes, compressed(everything)["ratio"])


def _caption(rows: pd.DataFrame) -> str:
    forms = compressed(rows).assign(form=rows["trained"].map({True: "after", False: "without"}))
    both = forms.pivot_table(index=["model", "dataset", "ratio", "pair"], columns="form", values="value", sort=False)
    both, most = both.reindex(columns=["without", "after"]).dropna(), ""
    if len(both):
        model, dataset, ratio, pair = (both["after"] / both["without"]).idxmin()
        before, after = both.loc[(model, dataset, ratio, pair), ["without", "after"]]
        most = (
            f"It does most for {method_name(pair)} at {percent(ratio)} on {dataset}"
            f"{f' ({model})' if rows['model'].nunique() > 1 else ''}: {number(before)} without, {number(after)} after."
        )
    trained = unique(rows.loc[rows["trained"], "pair"])
    return sentences(
        f"Perplexity{of_models(unique(rows['model']))} against the share of parameters removed: full lines after fine-tuning the factors "
        f"by LoRA ({listed(map(method_name, trained))}), broken lines without.",
        over_draws(rows, bars=False),
        most,
    )
