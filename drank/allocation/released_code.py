"""The ranks of D-Rank's published code, step by step (github.com/Rainbow0427/D_rank at 0ef4a69, `create_model`): to explain its numbers.

For one kind of projection: ranks by density, each rounded, and one static rank; the choice between the two by the energy that they
lose; and a repair of the budget in unit steps. What moves from Q and K to V is in `drank.allocation.released_transfer`. None of it is
held to a budget: the repair ends after 2 G steps for G groups, above or below.

A rank past the largest of its group, which the code nowhere refuses, stands for the largest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drank.allocation.evidence import Floats
from drank.allocation.guard import truncated
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.allocation.rounding import settled
from drank.allocation.rules import densities_of

STATIC = frozenset({"gate", "gate_up"})
"""Kinds of projection that always start from the static rank."""

GUARDED = frozenset({"o", "up", "down"})
"""Kinds that start from ranks by density only where these lose less energy than the static one."""

STATIC_WITH_GQA = STATIC | {"q", "k"}
"""The static ones of the variant for grouped-query models, in which all others are guarded."""


def released(problem: Problem, options: Options) -> Floats:
    """The whole ranks of one kind of projection as the code has them for LLaMA 1 and 2, before any transfer."""
    kind = problem.shapes[0].kind
    dynamic = _by_density(problem, options)
    if kind in STATIC or (kind in GUARDED and not _lose_less(problem, dynamic)):
        dynamic = _static(problem)
    return np.array(repaired(problem, densities_of(problem, options), dynamic), dtype=np.float64)


def released_gqa(problem: Problem, options: Options) -> Floats:
    """The same of the variant for LLaMA-3 and Mistral, which the code has commented out: there the repair follows the transfer."""
    static = problem.shapes[0].kind in STATIC_WITH_GQA
    dynamic = _by_density(problem, options)
    return np.array(_static(problem) if static or not _lose_less(problem, dynamic) else dynamic, dtype=np.float64)


def repaired(problem: Problem, densities: Floats, ranks: Sequence[int], bounded: bool = False) -> list[int]:
    """Whole ranks after at most 2 G unit steps towards the budget.

    Above it the group of least R/ω that has more than 1 loses a rank, below it the one of largest R/ω gains one: the steps alternate about
    the budget, and so in effect up to G ranks wander from the one to the other. `bounded`: a group at the largest rank of one layer does
    not gain.
    """
    ranks, worth, total = list(ranks), densities / problem.costs, _total(problem)
    costs = [shape.cost for shape in problem.shapes]
    top = min(problem.shapes[0].rows, problem.shapes[0].columns)
    for _ in range(2 * len(ranks)):
        excess = sum(rank * cost for rank, cost in zip(ranks, costs, strict=True)) - total
        able = [i for i, rank in enumerate(ranks) if (rank > 1 if excess > 0 else rank < top)]
        if excess == 0 or not able:
            break
        if excess > 0:
            ranks[min(able, key=lambda i: worth[i])] -= 1
        else:
            ranks[max(able if bounded else range(len(ranks)), key=lambda i: worth[i])] += 1
    return ranks


def as_they_are(problem: Problem, real: Floats, claims: Floats) -> list[int]:
    """Whole ranks, whatever they cost."""
    return settled(problem, real)


def repaired_at_last(problem: Problem, real: Floats, claims: Floats) -> list[int]:
    """Whole ranks after a repair of each kind of projection on its own; `claims` are densities."""
    ranks = np.array(real)
    kinds = np.array([shape.kind for shape in problem.shapes])
    for kind in dict.fromkeys(kinds.tolist()):
        members = np.flatnonzero(kinds == kind)
        part = problem.part(members.tolist())
        ranks[members] = repaired(part, claims[members], [round(rank) for rank in ranks[members].tolist()], bounded=True)
    return settled(problem, ranks)


def _total(problem: Problem) -> int:
    return round(sum(shape.dense_parameters for shape in problem.shapes) * (1 - problem.ratio))


def _by_density(problem: Problem, options: Options) -> list[int]:
    densities = densities_of(problem, options)
    scale = _total(problem) / np.sqrt(densities * problem.costs).sum()
    top = min(problem.shapes[0].rows, problem.shapes[0].columns)
    return [max(1, min(top, round(rank))) for rank in (np.sqrt(densities / problem.costs) * scale).tolist()]


def _static(problem: Problem) -> list[int]:
    """One rank for all groups: that of a full group, rounded down."""
    shape = max(problem.shapes, key=lambda shape: shape.width)
    return [max(1, int(shape.dense_parameters * (1 - problem.ratio) // shape.cost))] * len(problem.shapes)


def _lose_less(problem: Problem, dynamic: Sequence[int]) -> bool:
    """Whether these ranks lose less than the static one, under sums of moments over the layers of a group, not means."""
    layers = [len(shape.layers) for shape in problem.shapes]
    return truncated(problem, dynamic, layers) < truncated(problem, _static(problem), layers)
