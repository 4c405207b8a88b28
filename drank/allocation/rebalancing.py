"""Moving ranks from Q and K to V, whose spectra are far more spread. D-Rank (arXiv:2509.25622), equations 9 to 12."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drank.allocation.evidence import Floats
from drank.allocation.problem import Problem
from drank.allocation.released_transfer import by_whole_parameters, by_whole_ranks


def by_ranks(problem: Problem, ranks: Floats, beta: float) -> Floats:
    """Real ranks with the share β of every Q and K rank moved to V, spread evenly over V's groups, as published.

    Ranks move, not parameters, so where V costs less than Q (grouped-query attention) part of the budget falls free, which the rounding
    hands out again.
    """
    return _moved(problem, ranks, beta, np.ones_like(ranks))


def by_parameters(problem: Problem, ranks: Floats, beta: float) -> Floats:
    """Real ranks with the share β of the parameters of every Q and K group moved to V, as the same number of ranks in each of V's groups.

    What is spent stays what it was; where Q, K and V cost the same, the ranks are those of `by_ranks`.
    """
    return _moved(problem, ranks, beta, problem.costs)


def _moved(problem: Problem, ranks: Floats, beta: float, units: Floats) -> Floats:
    """Ranks with β of Q's and K's units moved to V; `units` says what one rank of each group counts."""
    kinds = np.array([shape.kind for shape in problem.shapes])
    giving, taking = np.isin(kinds, ("q", "k")), kinds == "v"
    moved = beta * (ranks * units)[giving].sum() / units[taking].sum()
    return np.where(giving, ranks * (1 - beta), np.where(taking, ranks + moved, ranks))


REBALANCES: dict[str, Callable[[Problem, Floats, float], Floats]] = {
    "ranks": by_ranks,
    "parameters": by_parameters,
    "whole-ranks": by_whole_ranks,
    "whole-parameters": by_whole_parameters,
}
"""The ways to rebalance by name."""
