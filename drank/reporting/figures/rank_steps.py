"""A plan as steps of a line: the rank of each group of layers, and whether it is stored in factors."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from drank.allocation.plan import Plan
from drank.models.groups import Group, Shape


class Step(NamedTuple):
    """Groups of one kind on the same layers, experts taken together: shape, mean rank, and the share of them that is stored dense."""

    shape: Shape
    rank: float
    dense: float


def by_layers(plan: Plan, kind: str) -> list[Step]:
    """The steps of one kind in order."""
    found: dict[tuple[int, ...], list[Group]] = {}
    for group in plan.groups:
        if group.shape.kind == kind:
            found.setdefault(group.shape.layers, []).append(group)
    return [
        Step(groups[0].shape, fmean(group.rank for group in groups), fmean(float(group.dense) for group in groups))
        for groups in found.values()
    ]


def edges(steps: Sequence[Step]) -> list[float]:
    """Where the steps of a plan begin, and where the last one ends."""
    return [step.shape.layers[0] - 0.5 for step in steps] + [steps[-1].shape.layers[-1] + 0.5]


def factored(plans: Sequence[Plan], kind: str) -> list[Step]:
    """The steps on which break-even says something, those of the first plan in two factors, which may hold more than the matrices.

    `dense` is 1 where no plan has factors there. Empty where none has them anywhere.
    """
    steps = [by_layers(plan, kind) for plan in plans]
    steps = [found for found in steps if any(step.shape.form.past_break_even for step in found)]
    layers = {layer for found in steps for step in found if step.dense < 1 for layer in step.shape.layers}
    return [step._replace(dense=float(layers.isdisjoint(step.shape.layers))) for step in steps[0]] if layers else []
