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


def alike(plans: Sequence[Plan], kind: str) -> list[list[Plan]]:
    """The plans that have the kind, by how they group its layers and store it: those of one list share break-even and uniform ranks."""
    found: dict[tuple[tuple[tuple[int, ...], str], ...], list[Plan]] = {}
    for plan in plans:
        if steps := by_layers(plan, kind):
            found.setdefault(tuple((step.shape.layers, step.shape.storage) for step in steps), []).append(plan)
    return list(found.values())


def factored(plans: Sequence[Plan], kind: str) -> list[list[Step]]:
    """The steps on which break-even says something, those of plans in two factors, which may hold more than the matrices.

    A list for each way to group the layers; `dense` is 1 where no plan that does so has factors. Empty where none has them anywhere.
    """
    found = []
    for plans_alike in alike(plans, kind):
        steps = [by_layers(plan, kind) for plan in plans_alike]
        layers = {layer for of_plan in steps for step in of_plan if step.dense < 1 for layer in step.shape.layers}
        if layers and any(step.shape.form.past_break_even for step in steps[0]):
            found.append([step._replace(dense=float(layers.isdisjoint(step.shape.layers))) for step in steps[0]])
    return found
