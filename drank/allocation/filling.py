"""Water-filling: the integer ranks with the least total truncated energy that a budget allows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drank.allocation.evidence import Floats, tail_of
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.allocation.rounding import top_up

TRIALS = 3
"""How many groups left out of dense storage are tried as dense; one already finds the optimum in most cases."""


def hull_steps(problem: Problem, i: int, energies: Floats) -> tuple[list[int], Floats, Floats]:
    """The steps of group i up the lower convex hull of its points (parameters, loss): where they lead, their sizes and their gains in loss.

    Two factors of one more rank gain λ_{k+1} for ω parameters, which only get worse as λ falls, so that every rank is on the hull. Where a
    further rank is the cheaper the higher it is, or a group at break-even is stored dense, a step may lead over several ranks at once.
    """
    ladder, loss = problem.ladder(i), tail_of(energies)
    ranks = [rank for rank in ladder.tolist() if not problem.is_dense(i, rank)]
    ranks += [problem.shapes[i].max_rank] if len(ranks) < len(ladder) else []
    stored = [problem.parameters(i, rank) for rank in ranks]
    kept: list[tuple[int, int, float]] = []
    for before, after, price in zip(ranks, ranks[1:], np.diff(stored).tolist(), strict=False):
        # λ itself where it is one rank: the difference of two sums of many would lose its last digits.
        size, gain = price, float(energies[before] if after == before + 1 else loss[before] - loss[after])
        while kept and gain * kept[-1][1] > kept[-1][2] * size:  # worth more than the step it stands on: the two are one
            _, larger, more = kept.pop()
            size, gain = size + larger, gain + more
        kept.append((after, size, gain))
    return [rank for rank, _, _ in kept], np.array([size for _, size, _ in kept], float), np.array([gain for _, _, gain in kept])


def water_fill(problem: Problem, energies: Sequence[Floats]) -> list[int]:
    """The ranks that minimise Σ_g Σ_{i>k_g} λ_i under the budget, from the λ of every group, (max_rank,) each and descending.

    All hull steps of all groups are taken in the order of gain per parameter, until one does not fit; what is then left goes to the
    best single steps that do fit. The loss exceeds the continuous optimum (steps may be taken in part), and so the best integer ranks, by
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
    sizes, owner = np.concatenate([size for _, size, _ in steps]), np.repeat(np.arange(len(steps)), [len(size) for _, size, _ in steps])
    # The worth falls along every hull; a rounding error in it must not put a step before the one it stands on.
    worth = np.concatenate([np.minimum.accumulate(gain / size) for _, size, gain in steps])
    order = np.argsort(-worth, kind="stable")
    spent = problem.spent(problem.low) + np.cumsum(sizes[order])
    taken = int(np.searchsorted(spent, problem.budget, side="right"))
    counts = np.bincount(owner[order[:taken]], minlength=len(steps))
    ranks = [steps[i][0][count - 1] if count else problem.allowed(i, problem.low[i]) for i, count in enumerate(counts.tolist())]

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


def optimal(problem: Problem, options: Options) -> Floats:
    """The integer ranks of `water_fill`, on λ as they are, or with the option `normalise` on their shares of the group's total."""
    energies = [problem.evidence.energies[shape.name] for shape in problem.shapes]
    if options.normalise:
        energies = [values / total if (total := values.sum()) > 0 else values for values in energies]
    return problem.real(water_fill(problem, energies))
