"""The lines beside which ranks stand: break-even of factors, and the uniform rank of the same ratio; and the colours of plans."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from drank.allocation.plan import Plan
from drank.reporting.figures.rank_steps import alike, by_layers, edges, factored
from drank.reporting.figures.style import GREY, looks
from drank.reporting.names import unique

Color = tuple[float, float, float]

Shades = Mapping[tuple[str, float], Color]
"""A colour for each method and ratio."""


def shades_of(plans: Sequence[Plan]) -> Shades:
    """The colour of each method at each of its ratios, lighter for smaller ones, in the order of the plans.

    A figure takes them once, of all its plans: those of one model alone may have other methods and ratios, and so other colours.
    """
    style = looks(unique(plan.method for plan in plans))
    ratios = {method: sorted({plan.ratio for plan in plans if plan.method == method}) for method in style}
    light = {method: {ratio: 1 - place / len(found) for place, ratio in enumerate(found, 1)} for method, found in ratios.items()}
    return {(plan.method, plan.ratio): _lighter(style[plan.method].color, 0.62 * light[plan.method][plan.ratio]) for plan in plans}


def _lighter(color: str, by: float) -> Color:
    red, green, blue = (channel + (1 - channel) * by for channel in to_rgb(color))
    return red, green, blue


def reference_lines(axes: Axes, plans: Sequence[Plan], kind: str, shades: Shades) -> None:
    """Break-even of factors, and the rank that every group has when all get the same share, in each ratio's colour where one method has.

    There is one of each for all plans that store and group the layers of the kind alike.
    """
    for steps in factored(plans, kind):
        even = [step.shape.break_even if step.dense < 1 else math.nan for step in steps]
        axes.stairs(even, edges(steps), baseline=None, color="black", linestyle="-.", linewidth=0.9, zorder=1)
    alone = len({method for method, _ in shades}) == 1
    for found in alike(plans, kind):
        steps = by_layers(found[0], kind)
        for plan in {plan.ratio: plan for plan in found}.values():
            share = [step.shape.rank_of((1 - plan.ratio) * step.shape.dense_parameters) for step in steps]
            color = shades[plan.method, plan.ratio] if alone else to_rgb(GREY)
            axes.stairs(share, edges(steps), baseline=None, color=color, linestyle=":", linewidth=1.2, zorder=2)


def apart(plans: Sequence[Plan], kinds: Mapping[str, Sequence[str]], *, storages: bool = True) -> str:
    """`, of each storage and number of layers in a group`: whichever of these differ within a panel, `kinds` being by model; or nothing.

    Without `storages` of the second alone, as break-even is of one storage.
    """
    panels = [[by_layers(plan, kind) for plan in plans if plan.model == model] for model, found in kinds.items() for kind in found]
    differ = {
        "storage": storages and any(len({step.shape.storage for steps in panel for step in steps}) > 1 for panel in panels),
        "number of layers in a group": any(len({tuple(step.shape.layers for step in steps) for steps in panel}) > 1 for panel in panels),
    }
    named = [name for name, differs in differ.items() if differs]
    return f", of each {' and '.join(named)}" if named else ""
