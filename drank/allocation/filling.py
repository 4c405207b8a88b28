"""Water-filling: the integer ranks with the least total truncated energy that a budget allows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drank.allocation.evidence import Floats, Integers, tail_of
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.allocation.rounding import top_up

TRIALS = 3
"""How many groups left out of dense storage are tried as dense; one already finds the optimum in most cases."""


def hull_steps(problem: Problem, i: int, energies: Floats) -> tuple[Integers, Floats]:
    """The steps of group i up the lower convex hull of its points (parameters, loss): their sizes in parameters and their gains in loss.

    A step is one more rank, λ_{k+1} for ω parameters; these only get worse as λ falls. Where the problem stores groups dense, the point
    (dense parameters, 0) joins the hull, and one last step leads to it from the rank where the straight line there is least steep.
    """
    shape, low, high = problem.shapes[i], problem.low[i], problem.high[i]
    if problem.is_dense(i, low):
        return np.empty(0, dtype=np.int64), np.empty(0)
    if not problem.is_dense(i, high):
        return np.full(high - low, shape.cost), energies[low:high]
    ranks = np.arange(low, -(-shape.dense_parameters // shape.cost))  # those that cost less than the matrices
    rest, loss = shape.dense_parameters - ranks * shape.cost, tail_of(energies)[ranks]
    vertex = int(np.argmin(loss / rest))
    return np.append(np.full(vertex, shape.cost), rest[vertex]), np.append(energies[low : low + vertex], loss[vertex])


def water_fill(problem: Problem, energies: Sequence[Floats]) -> list[int]:
    """The ranks that minimise Σ_g Σ_{i>k_g} λ_i under the budget, from the λ of every group, (max_rank,) each and descending.

    All hull steps of all groups are taken in the order of gain per parameter, until one does not fit; what is then left goes to the
    best single ranks that do fit. The loss exceeds the continuous optimum (steps may be taken in part), and so the best integer ranks, by
    less than the gain of that one step. The ranks are the best integer ones where the steps taken spend the budget to the last parameter,
    or where all steps cost the same: groups of one ω, none of them dense. A step to dense storage is a large one, so where one is left
    out, each of the best few of them is tried in its place, and the ranks of least loss win.
    """
    tails = [tail_of(values) for values in energies]
    answers = [_filled(problem, energies, tails)]
    dense = {i for i, rank in enumerate(answers[0]) if problem.is_dense(i, rank)}
    for i in _next_to_be_dense(problem, answers[0], tails)[:TRIALS]:
        trial = problem.with_dense(dense | {i})
        if trial.spent(trial.low) <= trial.budget:
            answers.append(_filled(trial, energies, tails))
    return min(answers, key=lambda ranks: sum(tail[rank] for tail, rank in zip(tails, ranks, strict=True)))


def _filled(problem: Problem, energies: Sequence[Floats], tails: Sequence[Floats]) -> list[int]:
    """The hull steps that fit in the order of gain per parameter, and the best single ranks that fit after them."""
    steps = [hull_steps(problem, i, values) for i, values in enumerate(energies)]
    sizes, owner = np.concatenate([size for size, _ in steps]), np.repeat(np.arange(len(steps)), [len(size) for size, _ in steps])
    # The worth falls along every hull; a rounding error in it must not put a step before the one it stands on.
    worth = np.concatenate([np.minimum.accumulate(gain / size) for size, gain in steps])
    order = np.argsort(-worth, kind="stable")
    spent = problem.spent(problem.low) + np.cumsum(sizes[order])
    taken = int(np.searchsorted(spent, problem.budget, side="right"))
    counts = np.bincount(owner[order[:taken]], minlength=len(steps))
    ranks = [_reached(problem, i, int(count), len(steps[i][0])) for i, count in enumerate(counts)]

    def gain_per_parameter(i: int, rank: int) -> float:
        higher = problem.above(i, rank)
        assert higher is not None
        return float(tails[i][rank] - tails[i][higher]) / (problem.parameters(i, higher) - problem.parameters(i, rank))

    top_up(problem, ranks, gain_per_parameter)
    return ranks


def _next_to_be_dense(problem: Problem, ranks: Sequence[int], tails: Sequence[Floats]) -> list[int]:
    """The groups that could be stored dense and are not, in the order of what that would gain for each further parameter."""

    def worth(i: int) -> float:
        return float(tails[i][ranks[i]]) / (problem.shapes[i].dense_parameters - problem.parameters(i, ranks[i]))

    able = [i for i, rank in enumerate(ranks) if problem.is_dense(i, problem.high[i]) and not problem.is_dense(i, rank)]
    return sorted(able, key=worth, reverse=True)


def _reached(problem: Problem, i: int, count: int, steps: int) -> int:
    """The rank of group i after so many of its steps."""
    return problem.allowed(i, problem.high[i] if count == steps else problem.low[i] + count)


def optimal(problem: Problem, options: Options) -> Floats:
    """The integer ranks of `water_fill`, on λ as they are, or with the option `normalise` on their shares of the group's total."""
    energies = [problem.evidence.energies[shape.name] for shape in problem.shapes]
    if options.normalise:
        energies = [values / total if (total := values.sum()) > 0 else values for values in energies]
    return np.array(water_fill(problem, energies), dtype=np.float64)
