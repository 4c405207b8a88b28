"""Allocated ranks by layer, where few methods can share a panel; the budgets of many are maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from drank.allocation.plan import Plan
from drank.models.groups import Group, Shape
from drank.reporting.figures import budget
from drank.reporting.figures.sheet import INCHES, Drawn, Width, legend_above, note, styled, tall
from drank.reporting.figures.style import GREY, MANY, looks
from drank.reporting.figures.words import listed, of_models, sentences
from drank.reporting.material import Material
from drank.reporting.names import competes, method_name, percent, role_name, unique

COLUMNS: dict[Width, int] = {"column": 2, "page": 4}
"""Panels in a row."""

HEIGHT = 1.1
"""Inches of a panel."""

Color = tuple[float, float, float]


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
    """A step for each group of layers, and lines at the uniform rank and at break-even."""
    models = unique(plan.model for plan in plans)
    kinds = {model: unique(group.shape.kind for plan in plans if plan.model == model for group in plan.groups) for model in models}
    heights = [math.ceil(len(kinds[model]) / COLUMNS[width]) for model in models]
    height = tall(0.1 + HEIGHT * sum(heights) + 0.25 * len(models))
    figure = Figure(figsize=(INCHES[width], height), layout="constrained")
    parts = figure.subfigures(len(models), 1, squeeze=False, height_ratios=heights)[:, 0]
    for model, part in zip(models, parts, strict=True):
        _panels(part, kinds[model], [plan for plan in plans if plan.model == model], COLUMNS[width])
        if len(models) > 1:
            part.suptitle(model, fontweight="bold")
    lines = {(plan.method, plan.ratio): None for plan in plans}
    handles = [Line2D([], [], color=_shade(plans, *line), linewidth=1.6) for line in lines]
    labels = [f"{method_name(method)}, {percent(ratio)} removed" for method, ratio in lines]
    handles += [Line2D([], [], color=GREY, linestyle=":", linewidth=1), Line2D([], [], color="black", linestyle="-.", linewidth=0.9)]
    legend_above(figure, handles, [*labels, "uniform at the same ratio", "break-even"])
    alone = len({plan.method for plan in plans}) == 1
    caption = (
        f"Ranks given to each projection by layer{of_models(models)} by {listed(unique(method_name(plan.method) for plan in plans))}, "
        f"{listed(map(percent, sorted({plan.ratio for plan in plans})))} of the parameters removed; a step spans the layers of "
        f"one group. Dotted: the uniform rank of the same ratio{', in its colour' if alone else ''}. Dash-dotted: break-even, above which "
        "the factors hold more parameters than the matrices they replace."
    )
    return Drawn(figure, caption)


def _uneven(plan: Plan) -> bool:
    """Whether the ranks of some projection differ by more than rounding."""
    ranks: dict[tuple[str, int], list[int]] = {}
    for group in plan.groups:
        ranks.setdefault((group.shape.role, group.shape.width), []).append(group.rank)
    return any(max(found) - min(found) > 1 for found in ranks.values())


def _shade(plans: Sequence[Plan], method: str, ratio: float) -> Color:
    """The method's colour, lighter for smaller ratios."""
    color = to_rgb(looks(unique(plan.method for plan in plans))[method].color)
    ratios = sorted({plan.ratio for plan in plans if plan.method == method})
    light = 0.62 * (1 - (ratios.index(ratio) + 1) / len(ratios))
    red, green, blue = (channel + (1 - channel) * light for channel in color)
    return red, green, blue


def _panels(part: SubFigure, kinds: Sequence[str], plans: Sequence[Plan], columns: int) -> None:
    """The panels of one model."""
    flat = list(part.subplots(math.ceil(len(kinds) / columns), columns, squeeze=False, sharex=True).flat)
    alone = len({plan.method for plan in plans}) == 1
    uniform = {plan.ratio: _shade(plans, plan.method, plan.ratio) if alone else to_rgb(GREY) for plan in plans}
    for kind, axes in zip(kinds, flat, strict=False):
        _reference_lines(axes, [shape for shape, _ in _by_layers(plans[0], kind)], uniform)
        for plan in plans:
            shapes, heights = zip(*_by_layers(plan, kind), strict=True)
            color = _shade(plans, plan.method, plan.ratio)
            axes.stairs(heights, _edges(shapes), baseline=None, color=color, linewidth=1.6, zorder=3)
        axes.set_title(role_name(kind), fontweight="bold")
        axes.set_ylim(0, 1.08 * max(axes.dataLim.ymax, 1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.tick_params(labelbottom=True)
    for axes in flat[len(kinds) :]:
        axes.set_visible(False)
    part.supylabel("rank")
    part.supxlabel("layer")


def _by_layers(plan: Plan, kind: str) -> list[tuple[Shape, float]]:
    """The shape and the rank of each group of one kind in order, experts of the same layers taken together at their mean rank."""
    found: dict[tuple[int, ...], list[Group]] = {}
    for group in plan.groups:
        if group.shape.kind == kind:
            found.setdefault(group.shape.layers, []).append(group)
    return [(groups[0].shape, fmean(group.rank for group in groups)) for groups in found.values()]


def _edges(shapes: Sequence[Shape]) -> list[float]:
    """Where the steps of a plan begin, and where the last one ends."""
    return [shape.layers[0] - 0.5 for shape in shapes] + [shapes[-1].layers[-1] + 0.5]


def _reference_lines(axes: Axes, shapes: Sequence[Shape], uniform: Mapping[float, Color]) -> None:
    """Break-even, and the rank that every group has when all get the same share, in the colour of each ratio."""
    even = [shape.break_even for shape in shapes]
    axes.stairs(even, _edges(shapes), baseline=None, color="black", linestyle="-.", linewidth=0.9, zorder=1)
    for ratio, color in uniform.items():
        share = [(1 - ratio) * rank for rank in even]
        axes.stairs(share, _edges(shapes), baseline=None, color=color, linestyle=":", linewidth=1.2, zorder=2)
