"""From real-valued ranks to integer ones that meet a budget to within one rank's cost."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

from drank.allocation.evidence import Floats
from drank.allocation.problem import Problem

Worth = Callable[[int, int], float]
"""What the step of a group from this rank to the next higher one is worth, per parameter."""


def settled(problem: Problem, real: Floats) -> list[int]:
    """The whole ranks that the parameters of real ones buy, brought within their bounds, whatever they cost; dense where they buy all."""
    ranks = []
    for i, (shape, value) in enumerate(zip(problem.shapes, real, strict=True)):
        past = problem.dense and value * shape.cost >= shape.dense_parameters * (1 - 1e-12)
        ranks.append(problem.allowed(i, shape.max_rank if past else shape.rank_within(math.floor((value + 1e-9) * shape.cost))))
    return ranks


def unchanged(problem: Problem, real: Floats, claims: Floats) -> list[int]:
    """Ranks that are whole already, as they are."""
    return [int(rank) for rank in real]


def cut_back(problem: Problem, ranks: list[int], worth: Worth) -> None:
    """Take steps back, in place, the one worth least first, until the budget is met."""
    excess = problem.spent(ranks) - problem.budget
    if excess <= 0:
        return
    heap = [(worth(i, lower), -i) for i, rank in enumerate(ranks) if (lower := problem.below(i, rank)) is not None]
    heapq.heapify(heap)
    while excess > 0:
        i = -heapq.heappop(heap)[1]
        rank, lower = ranks[i], problem.below(i, ranks[i])
        assert lower is not None
        ranks[i], excess = lower, excess - problem.parameters(i, rank) + problem.parameters(i, lower)
        if (lower := problem.below(i, lower)) is not None:
            heapq.heappush(heap, (worth(i, lower), -i))


def top_up(problem: Problem, ranks: list[int], worth: Worth) -> None:
    """Take further steps, in place, the one worth most first, until none fits into the budget; a step that does not fit is passed over."""
    left = problem.budget - problem.spent(ranks)
    steps = {i: higher for i, rank in enumerate(ranks) if (higher := problem.above(i, rank)) is not None}
    heap = [(-worth(i, ranks[i]), i) for i in steps]
    heapq.heapify(heap)
    while heap:
        i = heapq.heappop(heap)[1]
        price = problem.parameters(i, steps[i]) - problem.parameters(i, ranks[i])
        if price > left:
            continue
        ranks[i], left = steps[i], left - price
        if (higher := problem.above(i, ranks[i])) is not None:
            steps[i] = higher
            heapq.heappush(heap, (-worth(i, ranks[i]), i))


def by_claims(problem: Problem, claims: Floats) -> Worth:
    """What the next step takes off the objective Σ claim/k of D-Rank's equation 3, k the real rank, per parameter.

    With p stored before and p' after it, k = p/ω: `claim ω / (p p')`, for one more rank of two factors `claim / (k (k + 1) ω)`.
    """

    def worth(i: int, rank: int) -> float:
        higher = problem.above(i, rank)
        assert higher is not None
        return float(claims[i]) * problem.shapes[i].cost / (problem.parameters(i, rank) * problem.parameters(i, higher))

    return worth


def integer_ranks(problem: Problem, real: Floats, claims: Floats) -> list[int]:
    """Integer ranks near `real` within their bounds that spend the budget to within the smallest step of a group that could still grow.

    Rounds down, takes back what bounds or a transfer put above the budget, then hands out what is left, both by the claims.
    """
    ranks = settled(problem, real)
    cut_back(problem, ranks, by_claims(problem, claims))
    top_up(problem, ranks, by_claims(problem, claims))
    return ranks
