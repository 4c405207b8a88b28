"""From real-valued ranks to integer ones that meet a budget to within one rank's cost."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np

from drank.allocators.rules import Floats
from drank.plan import Shape


def integer_ranks(real: Floats, density: Floats, shapes: Sequence[Shape], budget: float, frozen: frozenset[int] = frozenset()) -> list[int]:
    """Integer ranks near `real` that spend the budget to within the smallest cost of a group that could still grow.

    Rounds down, at least 1, then gives rank after rank to the group with the largest `density / (k (k + 1) ω)`: what one more rank takes
    off the objective Σ density/k per parameter. Groups in `frozen` keep their rank and count nothing.
    """
    ranks = [max(1, min(math.floor(value + 1e-9), shape.max_rank)) for value, shape in zip(real, shapes, strict=True)]
    live = [i for i in range(len(shapes)) if i not in frozen]
    spent = sum(ranks[i] * shapes[i].cost for i in live)

    def urgency(i: int, rank: int) -> float:
        return float(density[i]) / (rank * (rank + 1) * shapes[i].cost)

    surplus = [(urgency(i, ranks[i] - 1), -i) for i in live if ranks[i] > 1]
    heapq.heapify(surplus)
    while spent > budget and surplus:  # a bound or a transfer lifted the total; take back what matters least
        i = -heapq.heappop(surplus)[1]
        ranks[i], spent = ranks[i] - 1, spent - shapes[i].cost
        if ranks[i] > 1:
            heapq.heappush(surplus, (urgency(i, ranks[i] - 1), -i))
    wanting = [(-urgency(i, ranks[i]), i) for i in live if ranks[i] < shapes[i].max_rank]
    heapq.heapify(wanting)
    while wanting:
        i = heapq.heappop(wanting)[1]
        if spent + shapes[i].cost > budget:
            continue
        ranks[i], spent = ranks[i] + 1, spent + shapes[i].cost
        if ranks[i] < shapes[i].max_rank:
            heapq.heappush(wanting, (-urgency(i, ranks[i]), i))
    return ranks


def with_dense(real: Floats, density: Floats, shapes: Sequence[Shape], budget: float) -> tuple[list[int], list[bool]]:
    """Integer ranks where groups past break-even are stored dense, exact and smaller, and what that frees goes to the others."""
    dense: frozenset[int] = frozenset()
    while True:
        rest = budget - sum(shapes[i].dense_parameters for i in dense)
        ranks = integer_ranks(real, density, shapes, rest, dense)
        past = frozenset(i for i, shape in enumerate(shapes) if ranks[i] >= shape.break_even) | dense
        if past == dense:
            return ranks, [i in dense for i in range(len(shapes))]
        real = np.array([ranks[i] if i in past else value for i, value in enumerate(real)])  # the rank that made a group dense stays
        dense = past
