"""What the layers of a model hold and get: effective ranks (the paper's figure 2, for every projection) and allocated ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from drank.allocation.plan import Plan
from drank.models.families import kind_of
from drank.models.groups import Group, Shape
from drank.reporting.figures import budget
from drank.reporting.figures.style import DOUBLE, GREY, MANY, ROLE_LOOKS, grid, legend_above, looks, note, styled
from drank.reporting.names import competes, method_name, percent, plan_place, role_name, unique

COLUMNS = 4
"""Panels in a row of the rank figure."""


@styled
def effective_rank(spectra: Sequence[Mapping[str, Any]]) -> Figure:
    """Effective rank by layer, a line for each projection; a panel for each model and spectrum."""
    if not spectra:
        return note("No spectrum was needed: nothing was compressed.")
    names = [spectrum["model"] for spectrum in spectra]
    columns = min(3, len(spectra))
    figure, panels = grid(math.ceil(len(spectra) / columns), columns, max(2.3, min(3.45, DOUBLE / columns)), 2.6, sharey=True)
    flat = [axes for row in panels for axes in row]
    for spectrum, axes in zip(spectra, flat, strict=False):
        for kind in unique(kind_of(group["role"]) for group in spectrum["groups"]):
            _kind_line(axes, kind, [group for group in spectrum["groups"] if kind_of(group["role"]) == kind])
        several = names.count(spectrum["model"]) > 1
        axes.set_title(f"{spectrum['model']} · {spectrum['spectrum']}" if several else spectrum["model"])
        axes.set_yscale("log")
        axes.set_xlabel("layer")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    for axes in flat[len(spectra) :]:
        axes.set_visible(False)
    for row in panels:
        row[0].set_ylabel("effective rank")
    roles = unique(kind_of(group["role"]) for spectrum in spectra for group in spectrum["groups"])
    style = looks(roles, ROLE_LOOKS)
    handles = [
        Line2D([], [], color=style[role].color, marker=style[role].marker, markeredgecolor="white", markeredgewidth=0.5) for role in roles
    ]
    legend_above(figure, handles, [role_name(role) for role in roles])
    return figure


@styled
def ranks(plans: Sequence[Plan]) -> Figure:
    """Allocated rank by layer, a panel for each projection of each model; uniform plans are drawn only where there is no other."""
    order = unique(plan.model for plan in plans)
    competing = sorted((plan for plan in plans if competes(plan.method)), key=lambda plan: (order.index(plan.model), plan_place(plan)))
    chosen = [plan for plan in competing if _uneven(plan)] or competing
    if len({(plan.method, plan.ratio) for plan in chosen}) > MANY:
        highest = max(plan.ratio for plan in chosen)
        chosen = [plan for plan in chosen if plan.ratio == highest]
    if len({plan.method for plan in chosen}) > MANY:
        return budget.maps(chosen)
    if not chosen:
        return note("No ranks were allocated: nothing was compressed.")
    models = unique(plan.model for plan in chosen)
    kinds = {model: unique(group.shape.kind for plan in chosen if plan.model == model for group in plan.groups) for model in models}
    heights = [math.ceil(len(kinds[model]) / COLUMNS) for model in models]
    figure = Figure(figsize=(DOUBLE, 0.5 + sum(1.35 * height + 0.3 for height in heights)), layout="constrained")
    parts = figure.subfigures(len(models), 1, squeeze=False, height_ratios=heights)[:, 0]
    for model, part in zip(models, parts, strict=True):
        _rank_panels(part, kinds[model], [plan for plan in chosen if plan.model == model])
        if len(models) > 1:
            part.suptitle(model, fontsize=9, fontweight="bold")
    lines = {(plan.method, plan.ratio): None for plan in chosen}
    handles = [Line2D([], [], color=_shade(chosen, *line), linewidth=1.8) for line in lines]
    labels = [f"{method_name(method)}, {percent(ratio)} removed" for method, ratio in lines]
    handles += [Line2D([], [], color=GREY, linestyle=":", linewidth=1), Line2D([], [], color="black", linestyle="-.", linewidth=0.9)]
    legend_above(figure, handles, [*labels, "uniform at the same ratio", "break-even"])
    return figure


def _kind_line(axes: Axes, kind: str, groups: Sequence[Mapping[str, Any]]) -> None:
    """Effective rank of one kind of projection by layer, the mean over experts where a layer has several."""
    look = looks([kind], ROLE_LOOKS)[kind]
    found: dict[float, list[float]] = {}
    for group in groups:
        found.setdefault((group["layers"][0] + group["layers"][-1]) / 2, []).append(group["effective_rank"])
    middles, values = list(found), [fmean(ranks) for ranks in found.values()]
    every = max(1, len(middles) // 16)
    axes.plot(middles, values, color=look.color, marker=look.marker, markevery=every, markeredgecolor="white", markeredgewidth=0.5)


def _uneven(plan: Plan) -> bool:
    """Whether the ranks of some projection differ by more than rounding."""
    ranks: dict[tuple[str, int], list[int]] = {}
    for group in plan.groups:
        ranks.setdefault((group.shape.role, group.shape.width), []).append(group.rank)
    return any(max(found) - min(found) > 1 for found in ranks.values())


def _shade(plans: Sequence[Plan], method: str, ratio: float) -> tuple[float, float, float]:
    """The method's colour, lighter for smaller ratios."""
    color = to_rgb(looks(unique(plan.method for plan in plans))[method].color)
    ratios = sorted({plan.ratio for plan in plans if plan.method == method})
    light = 0.62 * (1 - (ratios.index(ratio) + 1) / len(ratios))
    red, green, blue = (channel + (1 - channel) * light for channel in color)
    return red, green, blue


def _rank_panels(part: SubFigure, kinds: Sequence[str], plans: Sequence[Plan]) -> None:
    """The panels of one model."""
    rows = math.ceil(len(kinds) / COLUMNS)
    panels = part.subplots(rows, COLUMNS, squeeze=False, sharex=True)
    flat = list(panels.flat)
    alone = len({plan.method for plan in plans}) == 1
    uniform = {plan.ratio: _shade(plans, plan.method, plan.ratio) if alone else to_rgb(GREY) for plan in plans}
    for index, (kind, axes) in enumerate(zip(kinds, flat, strict=False)):
        _reference_lines(axes, [shape for shape, _ in _by_layers(plans[0], kind)], uniform)
        for plan in plans:
            shapes, heights = zip(*_by_layers(plan, kind), strict=True)
            axes.stairs(
                heights,
                _edges(shapes),
                baseline=None,
                color=_shade(plans, plan.method, plan.ratio),
                linewidth=1.8,
                zorder=3,
            )
        axes.set_title(role_name(kind), fontweight="bold")
        axes.set_ylim(0, 1.08 * max(axes.dataLim.ymax, 1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.tick_params(labelbottom=True)
        if index % COLUMNS == 0:
            axes.set_ylabel("rank")
    for axes in flat[len(kinds) :]:
        axes.set_visible(False)
    part.supxlabel("layer", fontsize=8)


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


def _reference_lines(axes: Axes, shapes: Sequence[Shape], uniform: Mapping[float, tuple[float, float, float]]) -> None:
    """Break-even, and the rank that every group has when all get the same share, in the colour of each ratio."""
    even = [shape.break_even for shape in shapes]
    axes.stairs(even, _edges(shapes), baseline=None, color="black", linestyle="-.", linewidth=0.9, zorder=1)
    for ratio, color in uniform.items():
        share = [(1 - ratio) * rank for rank in even]
        axes.stairs(share, _edges(shapes), baseline=None, color=color, linestyle=":", linewidth=1.2, zorder=2)
