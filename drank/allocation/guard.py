"""The guard: ranks by density only where they lose less energy than uniform ones.

D-Rank's paper has no such rule and its published code does, for some kinds of projection (`drank.allocation.released_code`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drank.allocation.evidence import Floats
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.allocation.rounding import settled
from drank.allocation.rules import uniform


def truncated(problem: Problem, ranks: Sequence[int], weights: Sequence[float] | None = None) -> float:
    """The energy that all groups lose at these ranks, each times its weight; a rank past the largest loses nothing."""
    tails = [problem.evidence.tails[shape.name] for shape in problem.shapes]
    lost = [float(tail[min(rank, len(tail) - 1)]) for tail, rank in zip(tails, ranks, strict=True)]
    return sum(weight * energy for weight, energy in zip(weights or [1] * len(lost), lost, strict=True))


def in_units(problem: Problem, claims: Floats, ranks: Floats) -> Floats:
    """The densities whose closed form these ranks are, in the units of `claims`, so that both can stand in one rounding.

    Equation 7 of D-Rank, `k = T / Σ sqrt(R ω) · sqrt(R / ω)`, solved for R with the sum of the claims.
    """
    return ranks**2 * problem.costs * (np.sqrt(claims * problem.costs).sum() / problem.budget) ** 2


def guarded(problem: Problem, options: Options, real: Floats) -> Floats:
    """Real ranks where, rounded down, they lose strictly less energy than uniform ones; else the uniform ones."""
    static = uniform(problem, options)
    return real if truncated(problem, settled(problem, real)) < truncated(problem, settled(problem, static)) else static
