"""Allocated ranks by layer, where few methods can share a panel; the budgets of many are maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from drank.allocation.plan import Plan
from drank.reporting.figures import budget
from drank.reporting.figures.rank_lines import Shades, apart, reference_lines, shades_of
from drank.reporting.figures.rank_steps import by_layers, edges, factored
from drank.reporting.figures.sheet import INCHES, Drawn, Width, legend_above, note, styled, tall
from drank.reporting.figures.style import GREY, MANY
from drank.reporting.figures.words import listed, of_models, sentences
from drank.reporting.material import Material
from drank.reporting.names import competes, method_name, percent, role_name, unique

COLUMNS: dict[Width, int] = {"column": 2, "page": 4}
"""Panels in a row."""

HEIGHT = 1.1
"""Inches of a panel."""

DENSE: dict[str, Any] = {"marker": "s", "linestyle": "none", "markersize": 4, "markeredgewidth": 1, "zorder": 4, "clip_on": False}
"""How a group is marked that is stored dense, filled; hollow where only some of the experts taken together are."""


@styled
def draw(material: Material, width: Width) -> Drawn:
    """Allocated rank by layer, a panel for each projection of each model; uniform plans are drawn only where there is no other."""
    competing = in_order([plan for plan in material.plans if competes(plan.method)], material)
    chosen = [plan for plan in competing if _uneven(plan)] or competing
    if not chosen:
        return note("No ranks were allocated: nothing was compressed.", width)
    ratios = sorted({plan.ratio for plan in chosen})
    if len({(plan.method, plan.ratio) for plan in chosen}) > MANY:
        chosen = [plan for plan in chosen if plan.ratio == ratios[-1]]
    even = [method for method in unique(plan.method for plan in competing) if method not in {plan.method for plan in chosen}]
    left = sentences(
        f"Of the ratios, the highest is drawn: {percent(ratios[-1])} removed."
        if len({plan.ratio for plan in chosen}) < len(ratios)
        else "",
        f"Left out, as they give all groups of a projection one rank: {listed(map(method_name, even))}." if even else "",
    )
    drawn = budget.maps(chosen, width) if len({plan.method for plan in chosen}) > MANY else _steps(chosen, width)
    return Drawn(drawn.figure, sentences(drawn.caption, left))


def in_order(plans: Sequence[Plan], material: Material) -> list[Plan]:
    """The plans by model, method and ratio in the order of the material's numbers; methods that have no numbers follow as they come."""
    labels = unique([*material.numbers["label"], *(plan.method for plan in plans)])
    models = unique([*material.models, *(plan.model for plan in plans)])
    return sorted(plans, key=lambda plan: (models.index(plan.model), labels.index(plan.method), plan.ratio))


def _steps(plans: Sequence[Plan], width: Width) -> Drawn:
    """A step for each group of layers, marks where it is stored dense, and lines at the uniform rank and at break-even."""
    models = unique(plan.model for plan in plans)
    kinds = {model: unique(group.shape.kind for plan in plans if plan.model == model for group in plan.groups) for model in models}
    heights = [math.ceil(len(kinds[model]) / COLUMNS[width]) for model in models]
    height = tall(0.1 + HEIGHT * sum(heights) + 0.25 * len(models))
    figure = Figure(figsize=(INCHES[width], height), layout="constrained")
    shades = shades_of(plans)
    parts = figure.subfigures(len(models), 1, squeeze=False, height_ratios=heights)[:, 0]
    for model, part in zip(models, parts, strict=True):
        _panels(part, kinds[model], [plan for plan in plans if plan.model == model], COLUMNS[width], shades)
        if len(models) > 1:
            part.suptitle(model, fontweight="bold")
    _legend(figure, plans, kinds, shades)
    return Drawn(figure, _caption(plans, models, kinds))


def _has_break_even(plans: Sequence[Plan], kinds: Mapping[str, Sequence[str]]) -> bool:
    """Whether any plan is stored in factors that may hold more than the matrices."""
    return any(factored(plans, kind) for kind in unique(kind for found in kinds.values() for kind in found))


def _shares_dense(plans: Sequence[Plan], kinds: Mapping[str, Sequence[str]]) -> set[float]:
    """The shares of a step's experts that are stored dense, where any are: 1 for what is no mixture."""
    return {step.dense for plan in plans for kind in kinds[plan.model] for step in by_layers(plan, kind) if step.dense}


def _legend(figure: Figure, plans: Sequence[Plan], kinds: Mapping[str, Sequence[str]], shades: Shades) -> None:
    """What lines and marks are."""
    handles = [Line2D([], [], color=color, linewidth=1.6) for color in shades.values()]
    labels = [f"{method_name(method)}, {percent(ratio)} removed" for method, ratio in shades]
    handles.append(Line2D([], [], color=GREY, linestyle=":", linewidth=1))
    labels.append("uniform at the same ratio")
    if _has_break_even(plans, kinds):
        handles.append(Line2D([], [], color="black", linestyle="-.", linewidth=0.9))
        labels.append("break-even")
    for some, label in ((False, "stored dense"), (True, "some experts dense")):
        if any((share < 1) == some for share in _shares_dense(plans, kinds)):
            handles.append(Line2D([], [], color=GREY, markerfacecolor="white" if some else GREY, **DENSE))
            labels.append(label)
    legend_above(figure, handles, labels)


def _caption(plans: Sequence[Plan], models: Sequence[str], kinds: Mapping[str, Sequence[str]]) -> str:
    alone = len({plan.method for plan in plans}) == 1
    named = listed(unique(method_name(plan.method) for plan in plans))
    removed = listed(map(percent, sorted({plan.ratio for plan in plans})))
    even, dense = _has_break_even(plans, kinds), _shares_dense(plans, kinds)
    return sentences(
        f"Ranks given to each projection by layer{of_models(models)} by {named}, {removed} of the parameters removed; a step spans the "
        f"layers of one group. Dotted: the uniform rank of the same ratio{', in its colour' * alone}{apart(plans, kinds)}.",
        f"Dash-dotted: break-even{apart(plans, kinds, storages=False)}, above which factors hold more parameters than the matrices they "
        "replace."
        if even
        else "",
        "Squares: stored dense, at full rank in as many parameters as the matrices have, whatever the lines say." if dense else "",
        _of_pivoted(plans),
    )


def _uneven(plan: Plan) -> bool:
    """Whether the ranks of some projection differ by more than rounding."""
    ranks: dict[tuple[str, int], list[int]] = {}
    for group in plan.groups:
        ranks.setdefault((group.shape.role, group.shape.width), []).append(group.rank)
    return any(max(found) - min(found) > 1 for found in ranks.values())


def _panels(part: SubFigure, kinds: Sequence[str], plans: Sequence[Plan], columns: int, shades: Shades) -> None:
    """The panels of one model."""
    flat = list(part.subplots(math.ceil(len(kinds) / columns), columns, squeeze=False, sharex=True).flat)
    for kind, axes in zip(kinds, flat, strict=False):
        reference_lines(axes, plans, kind, shades)
        for plan in plans:
            steps = by_layers(plan, kind)
            color = shades[plan.method, plan.ratio]
            axes.stairs([step.rank for step in steps], edges(steps), baseline=None, color=color, linewidth=1.6, zorder=3)
            for step in steps:
                if step.dense:
                    filled = color if step.dense == 1 else "white"
                    axes.plot(fmean(step.shape.layers), step.rank, color=color, markerfacecolor=filled, **DENSE)
        axes.set_title(role_name(kind), fontweight="bold")
        axes.set_ylim(0, 1.08 * max(axes.dataLim.ymax, 1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.tick_params(labelbottom=True)
    for axes in flat[len(kinds) :]:
        axes.set_visible(False)
    part.supylabel("rank")
    part.supxlabel("layer")


def _of_pivoted(plans: Sequence[Plan]) -> str:
    """A sentence on plans that are stored in pivoted factors; empty without such."""
    pivoted = unique(method_name(plan.method) for plan in plans if not all(group.shape.form.past_break_even for group in plan.groups))
    if not pivoted:
        return ""
    return f"Pivoted factors ({listed(pivoted)}) hold no more than the matrices up to full rank, so that they have no such line."
