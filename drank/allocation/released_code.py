"""The ranks of D-Rank's published code, where it departs from the paper (github.com/Rainbow0427/D_rank at 0ef4a69): to explain numbers."""

from __future__ import annotations

import numpy as np

from drank.allocation.evidence import Floats
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.allocation.rounding import settled
from drank.allocation.rules import by_density, densities_of, uniform

STATIC = frozenset({"gate", "gate_up"})
"""Kinds of projection that always have uniform ranks."""

WHERE_BETTER = frozenset({"o", "up", "down"})
"""Kinds that have dynamic ranks only where these lose less energy than uniform ones."""


def released(problem: Problem, options: Options) -> Floats:
    """Whole ranks of one kind of projection: uniform for gate, by density for all others, for O, up and down only if they lose less.

    Ranks are rounded down. Those by density are then repaired by at most two unit steps for each group, all on the one group of largest
    R/ω, while they fit; uniform ones are not, so that a plan may leave more than one ω unused, though it never exceeds its budget.
    """
    kind, static = problem.shapes[0].kind, settled(problem, uniform(problem, options))
    if kind in STATIC:
        return problem.real(static)
    dynamic = _repaired(problem, options, settled(problem, by_density(problem, options)))
    chosen = static if kind in WHERE_BETTER and truncated(problem, static) <= truncated(problem, dynamic) else dynamic
    return problem.real(chosen)


def truncated(problem: Problem, ranks: list[int]) -> float:
    """The energy that all groups together lose at these ranks."""
    return float(sum(problem.evidence.tails[shape.name][rank] for shape, rank in zip(problem.shapes, ranks, strict=True)))


def _repaired(problem: Problem, options: Options, ranks: list[int]) -> list[int]:
    """Ranks with the unit steps of the release's repair; R/ω does not change with the rank, so that all go to one group."""
    chosen = int(np.argmax(densities_of(problem, options) / problem.costs))
    for _ in range(2 * len(ranks)):
        higher = problem.above(chosen, ranks[chosen])
        grown = [higher if i == chosen and higher is not None else rank for i, rank in enumerate(ranks)]
        if higher is None or problem.spent(grown) > problem.budget:
            break
        ranks = grown
    return ranks
