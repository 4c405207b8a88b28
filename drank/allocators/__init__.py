"""Rank allocation: from effective ranks, costs and a budget to integer ranks that meet the budget to within one rank's cost.

Each allocator gives real-valued ranks for the groups of one projection type. `allocate` then moves ranks from Q and K to V if asked,
rounds down and hands the remainder out by the objective's own marginal until not one more rank fits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from drank.allocators.rounding import integer_ranks, with_dense
from drank.allocators.rules import ALLOCATORS, Problem, by_density, closed_form, rebalance
from drank.plan import Group, Plan, Shape

__all__ = ["ALLOCATORS", "BudgetError", "Problem", "allocate", "check_budget", "closed_form", "integer_ranks", "rebalance", "with_dense"]


class BudgetError(ValueError):
    """A ratio that leaves too few parameters for a rank of 1 in every group."""


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
