"""Real-valued ranks for the groups of one projection type under its budget, and their rebalancing between types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drank.plan import Shape

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """The groups of one projection type with the density (effective rank) of each, and the parameters they may hold together."""

    shapes: tuple[Shape, ...]
    density: Floats
    budget: int

    @property
    def costs(self) -> Floats:
        """ω of each group."""
        return np.array([shape.cost for shape in self.shapes], dtype=np.float64)

    @property
    def caps(self) -> Floats:
        """The largest rank that each group can use."""
        return np.array([shape.max_rank for shape in self.shapes], dtype=np.float64)


def closed_form(density: Floats, costs: Floats, budget: float, caps: Floats) -> Floats:
    """The real ranks that minimise Σ density/rank under Σ rank · cost = budget and 1 ≤ rank ≤ cap.

    D-Rank (arXiv:2509.25622), equation 7, `k = T / Σ sqrt(R ω) · sqrt(R / ω)`; groups that it would put past a bound are held there and
    the others share what remains by the same rule, which is the optimum under the bounds. All ranks are 1 where the budget allows less,
    and all are at their caps where it allows more.
    """
    slope = np.sqrt(density / costs)
    if (costs * caps).sum() <= budget:
        return caps.copy()
    if costs.sum() >= budget:
        return np.ones_like(caps)
    # What is spent grows with the common factor, linearly between the points where a group leaves or meets a bound.
    points = np.sort(np.concatenate([1 / slope, caps / slope]))
    spent = np.array([(costs * np.clip(point * slope, 1, caps)).sum() for point in points])
    after = int(np.searchsorted(spent, budget))
    middle = slope * (points[after - 1] + points[after]) / 2
    free = (middle > 1) & (middle < caps)
    held = np.where(middle >= caps, caps, 1.0)
    if not free.any():  # the budget is what the groups at their bounds cost, give or take a rounding error
        return held
    factor = (budget - (costs * held)[~free].sum()) / (costs * slope)[free].sum()
    return np.where(free, factor * slope, held)


def uniform(problem: Problem, options: dict[str, Any]) -> Floats:
    """The same share of its parameters for every group."""
    dense = sum(shape.dense_parameters for shape in problem.shapes)
    wanted = np.array([problem.budget * shape.dense_parameters / dense / shape.cost for shape in problem.shapes])
    return np.clip(wanted, 1, problem.caps)


def by_density(problem: Problem, options: dict[str, Any]) -> Floats:
    """D-Rank's ranks, in proportion to sqrt(density / cost)."""
    return closed_form(problem.density, problem.costs, problem.budget, problem.caps)


def random(problem: Problem, options: dict[str, Any]) -> Floats:
    """Ranks drawn at random under the same budget: a control that any sensible allocation must beat."""
    seed = [int(options["seed"]), *problem.shapes[0].role.encode()]
    draws = np.random.default_rng(seed).lognormal(sigma=2.0, size=len(problem.shapes))
    return closed_form(draws, problem.costs, problem.budget, problem.caps)


def full(problem: Problem, options: dict[str, Any]) -> Floats:
    """Every group at the rank where its factors are exact, whatever the budget: a control that must equal the dense model."""
    return problem.caps


ALLOCATORS: dict[str, Callable[[Problem, dict[str, Any]], Floats]] = {
    "uniform": uniform,
    "effective-rank": by_density,
    "random": random,
    "full": full,
}
"""The allocators by name."""


def rebalance(ranks: dict[str, Floats], beta: float) -> dict[str, Floats]:
    """Real ranks with the share β of every Q and K rank moved to V, spread evenly over V's groups.

    D-Rank (arXiv:2509.25622), equations 9 to 12: ranks move, not parameters, so where V costs less than Q (grouped-query attention) part
    of the budget falls free, which the rounding hands out again.
    """
    moved = beta * (ranks["q"].sum() + ranks["k"].sum())
    changed = {role: ranks[role] * (1 - beta) for role in ("q", "k")}
    return ranks | changed | {"v": ranks["v"] + moved / len(ranks["v"])}
