"""The rules by which ranks are allocated, by name, and how the ranks of each are treated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drank.allocation.by_loss import importance_loss, loss_ratio
from drank.allocation.by_sensitivity import sensitivity
from drank.allocation.evidence import Floats
from drank.allocation.filling import optimal
from drank.allocation.first_order import greedy, zero_sum
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.allocation.released_code import as_they_are, released, released_gqa, repaired_at_last
from drank.allocation.rounding import integer_ranks, unchanged
from drank.allocation.rules import as_given, by_density, densities_of, full, random, uniform


def _own_claims(problem: Problem, options: Options, ranks: Floats) -> Floats:
    """The densities whose optimum these ranks are, R = k² ω, so that rounding keeps ranks that follow no density what they were."""
    return ranks**2 * problem.costs


@dataclass(frozen=True)
class Allocator:
    """A rule that gives ranks, real or already whole, to the groups of one problem, and how these are treated.

    `needs` names what it reads of the evidence beside the energies, `claims` gives the densities by which ranks are rounded, `rounded` does
    so. Some keep groups past break-even dense whatever the options, ignore the budget, give ranks that β cannot move, or can be guarded.
    One that `follows` something rank for rank meets its budget as that does, which may end above it, and has no options that it `lacks`.
    """

    solve: Callable[[Problem, Options], Floats]
    needs: frozenset[str] = frozenset()
    claims: Callable[[Problem, Options, Floats], Floats] = _own_claims
    rounded: Callable[[Problem, Floats, Floats], list[int]] = integer_ranks
    dense: bool = False
    budgeted: bool = True
    scopes: tuple[str, ...] = ("type", "model")
    movable: bool = True
    guardable: bool = False
    follows: str = ""
    lacks: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Whether its ranks never end above their budget."""
        return not self.follows


def _densities(problem: Problem, options: Options, _ranks: Floats) -> Floats:
    return densities_of(problem, options)


_AS_PUBLISHED: dict[str, Any] = {
    "follows": "its published code",
    "lacks": ("density", "floor", "cap", "dense_past_break_even", "rank_multiple"),
    "scopes": ("type",),
}

ALLOCATORS: dict[str, Allocator] = {
    "uniform": Allocator(uniform),
    "effective-rank": Allocator(by_density, claims=_densities, guardable=True),
    "random": Allocator(random),
    "full": Allocator(full, budgeted=False, movable=False),
    "sensitivity": Allocator(sensitivity, frozenset({"sensitivity"})),
    "zero-sum": Allocator(zero_sum, frozenset({"slopes"}), dense=True, movable=False),
    "greedy": Allocator(greedy, frozenset({"slopes"}), dense=True, movable=False),
    "loss-ratio": Allocator(loss_ratio, guardable=True),
    "importance-loss": Allocator(importance_loss, frozenset({"similarities"}), guardable=True),
    "optimal": Allocator(optimal),
    "released": Allocator(released, rounded=as_they_are, **_AS_PUBLISHED),
    "released-gqa": Allocator(released_gqa, claims=_densities, rounded=repaired_at_last, **_AS_PUBLISHED),
    "given": Allocator(
        *(as_given, frozenset({"plan"})),
        rounded=unchanged,
        budgeted=False,
        movable=False,
        follows="its given plan",
        lacks=("scope", "floor", "cap", "rank_multiple"),
    ),
}
"""The allocators by name."""
