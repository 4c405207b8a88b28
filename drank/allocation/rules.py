"""Real-valued ranks that spend one budget: each rule spreads it by a weight, within the bounds of every group."""

from __future__ import annotations

import bisect

import numpy as np

from drank.allocation.densities import DENSITIES, positive
from drank.allocation.evidence import Floats
from drank.allocation.options import Options
from drank.allocation.problem import Problem


def level(base: Floats, slope: Floats, costs: Floats, budget: float, low: Floats, high: Floats) -> Floats:
    """The real ranks `base + t · slope`, held between their bounds, with t such that `Σ rank · cost` is the budget; slopes are positive.

    All ranks are at their lower bounds where the budget allows less, and all at their upper ones where it allows more.
    """

    def ranks(t: float) -> Floats:
        return np.clip(base + t * slope, low, high)

    if costs @ high <= budget:
        return high.copy()
    if costs @ low >= budget:
        return low.copy()
    # What is spent grows with t, linearly between the points where a group leaves or meets a bound.
    points = np.sort(np.concatenate([(low - base) / slope, (high - base) / slope]))
    after = bisect.bisect_left(points, budget, 1, len(points) - 1, key=lambda t: float(costs @ ranks(t)))
    middle = base + slope * (points[after - 1] + points[after]) / 2
    free = (middle > low) & (middle < high)
    held = np.clip(middle, low, high)
    if not free.any():  # the budget is what the groups at their bounds cost, give or take a rounding error
        return held
    t = (budget - costs[~free] @ held[~free] - costs[free] @ base[free]) / (costs[free] @ slope[free])
    return np.where(free, np.clip(base + t * slope, low, high), held)


def closed_form(density: Floats, costs: Floats, budget: float, low: Floats, high: Floats) -> Floats:
    """The real ranks that minimise Σ density/rank under Σ rank · cost = budget and low ≤ rank ≤ high.

    D-Rank (arXiv:2509.25622), equation 7, `k = T / Σ sqrt(R ω) · sqrt(R / ω)`; groups that it would put past a bound are held there and
    the others share what remains by the same rule, which is the optimum under the bounds.
    """
    return level(np.zeros_like(costs), np.sqrt(density / costs), costs, budget, low, high)


def spread(problem: Problem, base: Floats, slope: Floats) -> Floats:
    """`level` with the costs, the budget and the bounds of a problem."""
    low, high = bounds(problem)
    return level(base, slope, problem.costs, problem.budget, low, high)


def bounds(problem: Problem) -> tuple[Floats, Floats]:
    """The lowest and the highest real rank of each group."""
    return problem.real(problem.low), problem.real(problem.high)


def uniform(problem: Problem, options: Options) -> Floats:
    """The same share of its parameters for every group."""
    return spread(problem, np.zeros_like(problem.costs), problem.sizes / problem.costs)


def densities_of(problem: Problem, options: Options) -> Floats:
    """The density of each group by the measure that the options name, all above zero."""
    density, energies = DENSITIES[options.density], problem.evidence.energies
    values = [density(energies[shape.name], rank) for shape, rank in zip(problem.shapes, problem.uniform, strict=True)]
    return positive(np.array(values))


def by_density(problem: Problem, options: Options) -> Floats:
    """D-Rank's ranks, in proportion to sqrt(density / cost)."""
    return closed_form(densities_of(problem, options), problem.costs, problem.budget, *bounds(problem))


def random(problem: Problem, options: Options) -> Floats:
    """Ranks drawn at random under the same budget: a control that any sensible allocation must beat.

    Every kind of projection draws from its own seed, so that one draw serves every ratio and scope.
    """
    draws = np.empty(len(problem.shapes))
    kinds = np.array([shape.kind for shape in problem.shapes])
    for kind in dict.fromkeys(kinds.tolist()):
        generator = np.random.default_rng([int(options.seed), *kind.encode()])
        draws[kinds == kind] = generator.lognormal(sigma=2.0, size=int((kinds == kind).sum()))
    return closed_form(draws, problem.costs, problem.budget, *bounds(problem))


def full(problem: Problem, options: Options) -> Floats:
    """Every group at the rank where its factors are exact, whatever the budget: a control that must equal the dense model."""
    return problem.real([shape.max_rank for shape in problem.shapes])


def as_given(problem: Problem, options: Options) -> Floats:
    """The whole ranks of the plan that is given; ValueError naming everything in it that these groups cannot have at this ratio."""
    given = problem.evidence.given
    if given is None:
        raise ValueError("no plan is given")
    return np.array(given.ranks(problem.shapes, problem.ratio, problem.dense), dtype=np.float64)
