"""Rank allocation: from effective ranks, costs and a budget to integer ranks that meet the budget to within one rank's cost.

Each allocator gives real-valued ranks for the groups of one projection type. `allocate` then moves ranks from Q and K to V if asked,
rounds down and hands the remainder out by the objective's own marginal until not one more rank fits.
"""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drank.plan import Group, Plan, Shape

log = logging.getLogger(__name__)
Floats = NDArray[np.float64]


class BudgetError(ValueError):
    """A ratio that leaves too few parameters for a rank of 1 in every group."""


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


def _problems(shapes: Sequence[Shape], density: dict[str, float], keep: float) -> dict[str, Problem]:
    by_role: dict[str, list[Shape]] = {}
    for shape in shapes:
        by_role.setdefault(shape.role, []).append(shape)
    problems, poor = {}, []
    for role, members in by_role.items():
        dense, least = sum(s.dense_parameters for s in members), sum(s.cost for s in members)
        budget = math.floor(keep * dense + 1e-6)  # a ratio such as 0.2 must not lose a parameter to its binary form
        if budget < least:
            highest = math.floor(1e4 * (1 - least / dense)) / 1e4
            poor.append(f"{role}: {budget} parameters, rank 1 costs {least} (highest ratio {highest:.4f})")
        problems[role] = Problem(tuple(members), np.array([density[s.name] for s in members]), budget)
    if poor:
        raise BudgetError(f"ratio {1 - keep:g} leaves too little for rank 1 in every group; lower it. Too small: " + "; ".join(poor))
    return problems


def check_budget(shapes: Sequence[Shape], ratio: float) -> None:
    """Raise BudgetError, naming every projection type, where a ratio leaves too little for rank 1 in each of its groups."""
    _problems(shapes, dict.fromkeys((shape.name for shape in shapes), 1.0), 1 - ratio)


def allocate(
    shapes: Sequence[Shape], density: dict[str, float], ratio: float, settings: dict[str, Any], *, model: str, method: str
) -> Plan:
    """The plan of one method at one ratio from the groups' shapes and densities.

    Each projection type meets its own budget `(1 − ratio) · Σ d1·n·d2` to within one ω, never above; with β > 0, Q, K and V do together.
    Raises BudgetError naming every type where the ratio leaves less than rank 1, ValueError where β meets a model without Q, K and V.
    """
    beta = float(settings.get("beta", 0.0))
    problems = _problems(shapes, density, 1 - ratio)
    if beta and not {"q", "k", "v"} <= problems.keys():
        raise ValueError(
            f"method {method}: beta {beta} needs separate q, k and v projections, this model has {', '.join(problems)}; set beta: 0"
        )
    solve = ALLOCATORS[settings["allocator"]]
    real = {role: solve(problem, settings) for role, problem in problems.items()}
    # Ranks that do not follow the density are rounded by the density whose optimum they are, R = k² ω, so that they stay what they were.
    claims = {role: p.density if solve is by_density else real[role] ** 2 * p.costs for role, p in problems.items()}
    unlimited = settings["allocator"] == "full"
    scopes: list[tuple[str, ...]] = [(role,) for role in problems]
    if beta:
        real = rebalance(real, beta)
        scopes = [("q", "k", "v"), *((role,) for role in problems if role not in ("q", "k", "v"))]
    groups = []
    for scope in scopes:
        members = [shape for role in scope for shape in problems[role].shapes]
        values = np.concatenate([real[role] for role in scope])
        weights = np.concatenate([claims[role] for role in scope])
        budget = math.inf if unlimited else sum(problems[role].budget for role in scope)
        if settings.get("dense_past_break_even", False):
            ranks, dense = with_dense(values, weights, members, budget)
        else:
            ranks, dense = integer_ranks(values, weights, members, budget), [False] * len(members)
        groups += [Group(s, density[s.name], rank, flag) for s, rank, flag in zip(members, ranks, dense, strict=True)]
    return Plan(model, method, ratio, settings, tuple(groups))
