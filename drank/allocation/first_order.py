"""Global selection of singular components by the first-order change of the loss: ZS-SVD's zero-sum and IO-SVD's greedy rule.

Dropping component i alone changes the loss by about the slope δ_i. A group may only drop its last component (the smallest σ), and a drop
saves parameters only below break-even: down to there the group stays dense, and so do groups of a plan that never got below.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

import numpy as np

from drank.allocation.evidence import Floats, Integers
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.allocation.rounding import top_up


def greedy(problem: Problem, options: Options) -> Floats:
    """The ranks left when the component of smallest |δ| among the last ones of all groups is dropped until the budget is met.

    IO-SVD (github.com/mint-vu/IO-SVD). What the last drop saved too much is handed back, largest |δ| first.
    """
    start = _start(problem)
    slopes = [np.abs(values) for values in _dropping(problem)]
    # A heap over the last components gives out a group's components in their order, one that hides behind a larger one right after it:
    # that is the order of the largest |δ| so far.
    keys = np.concatenate([np.maximum.accumulate(values) for values in slopes])
    owner = np.repeat(np.arange(len(slopes)), [len(values) for values in slopes])
    order = np.argsort(keys, kind="stable")
    saved = np.cumsum(np.concatenate(list(_savings(problem)))[order])
    excess = problem.spent(start) - problem.budget
    taken = int(np.searchsorted(saved, excess)) + 1 if excess > 0 else 0
    dropped = np.bincount(owner[order[:taken]], minlength=len(start))
    return _handed_back(problem, dropped.tolist())


def zero_sum(problem: Problem, options: Options) -> Floats:
    """The ranks left when components are dropped so that the sum of their δ stays near zero, until the budget is met.

    ZS-SVD (arXiv:2602.02848): of the last components of all groups, one heap for each sign of δ, the next to go is the one of smallest
    |δ| whose sign brings the sum back towards zero (of either sign at zero, and where one heap is empty). The published code's correction
    steps, rank floor and 8-bit variants are left out. What the last drop saved too much is handed back, largest |δ| first.
    """
    start = _start(problem)
    slopes = [values.tolist() for values in _dropping(problem)]
    savings = [values.tolist() for values in _savings(problem)]
    dropped, total, excess = [0] * len(start), 0.0, problem.spent(start) - problem.budget
    rising: list[tuple[float, int]] = []  # groups whose last component has δ ≥ 0, by |δ|
    falling: list[tuple[float, int]] = []
    for i, values in enumerate(slopes):
        if values:
            heapq.heappush(rising if values[0] >= 0 else falling, (abs(values[0]), i))
    while excess > 0:
        if not rising or not falling:
            heap = rising or falling
        elif total == 0:
            heap = min(rising, falling, key=lambda one: one[0])
        else:
            heap = falling if total > 0 else rising
        i, count = heap[0][1], dropped[heap[0][1]]
        total, excess, dropped[i] = total + slopes[i][count], excess - savings[i][count], count + 1
        heapq.heappop(heap)
        if count + 1 < len(slopes[i]):
            following = slopes[i][count + 1]
            heapq.heappush(rising if following >= 0 else falling, (abs(following), i))
    return _handed_back(problem, dropped)


def _start(problem: Problem) -> list[int]:
    """Every group at the most it may have: dense, unless a cap is below break-even."""
    return [problem.allowed(i, rank) for i, rank in enumerate(problem.high)]


def _dropping(problem: Problem) -> Iterator[Floats]:
    """Of each group the slopes in the order in which its components can go, the smallest σ first: sums where several go at once."""
    for i, shape in enumerate(problem.shapes):
        ladder = problem.ladder(i)
        slopes = problem.evidence.slopes[shape.name][: ladder[-1]]
        yield np.add.reduceat(slopes, ladder[:-1])[::-1] if len(ladder) > 1 else slopes[:0]


def _savings(problem: Problem) -> Iterator[Integers]:
    """Of each group the parameters that each of its drops saves, in the same order: none above break-even."""
    for i, shape in enumerate(problem.shapes):
        stored = [min(shape.parameters(rank), shape.dense_parameters) for rank in problem.ladder(i).tolist()]
        yield np.diff(stored)[::-1]


def _handed_back(problem: Problem, dropped: Sequence[int]) -> Floats:
    """The ranks after so many drops of each group, and after what they saved too much was handed out again."""
    slopes = [problem.evidence.slopes[shape.name] for shape in problem.shapes]
    ranks = [problem.allowed(i, int(problem.ladder(i)[-1 - count])) for i, count in enumerate(dropped)]

    def worth(i: int, rank: int) -> float:
        higher = problem.above(i, rank)
        return abs(float(slopes[i][rank : min(rank + problem.multiple, higher or rank)].sum()))

    top_up(problem, ranks, worth)
    return problem.real(ranks)
