"""One budget and the groups that share it, in whole parameters."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from drank.allocation.evidence import Evidence, Floats, Integers
from drank.allocation.options import Options
from drank.models.groups import Shape


class BudgetError(ValueError):
    """A budget that no ranks within their bounds can meet."""


@dataclass(frozen=True)
class Problem:
    """Groups that share a budget of parameters, and the lowest and highest rank that each may have.

    With `dense` a group at or past its break-even rank is stored dense: it costs its matrices, and its rank is its largest one. The ranks
    of all others are multiples of `multiple`, or the largest one of a group that has no such multiple.

    Published rules give ranks of two factors. Of them `real` ranks speak, whatever the storage: a group gets the parameters rank · ω, and
    the rank that these buy (`drank.allocation.rounding`). `ratio` is the share to remove that the budget was made of.
    """

    label: str
    shapes: tuple[Shape, ...]
    budget: int
    low: tuple[int, ...]
    high: tuple[int, ...]
    dense: bool
    evidence: Evidence
    multiple: int = 1
    ratio: float = 0.0

    @cached_property
    def costs(self) -> Floats:
        """ω of each group, what a real rank costs."""
        return np.array([shape.cost for shape in self.shapes], dtype=np.float64)

    @cached_property
    def sizes(self) -> Floats:
        """The parameters of the uncompressed matrices of each group."""
        return np.array([shape.dense_parameters for shape in self.shapes], dtype=np.float64)

    @property
    def uniform(self) -> Floats:
        """The rank of each group, not whole, that stores the same share of its parameters as all others do."""
        share = self.budget / self.sizes.sum()
        return np.array([shape.rank_of(share * shape.dense_parameters) for shape in self.shapes])

    @cached_property
    def losses(self) -> Floats:
        """The Frobenius norm of what each group loses at its uniform rank, `sqrt(Σ_{i>k} λ_i)`, k rounded down, at least 1."""
        tails = (self.evidence.tails[shape.name] for shape in self.shapes)
        return np.sqrt([tail[max(1, math.floor(rank + 1e-9))] for tail, rank in zip(tails, self.uniform, strict=True)])

    def is_dense(self, i: int, rank: int) -> bool:
        """Whether group i is stored dense at this rank."""
        return self.dense and self.shapes[i].parameters(rank) >= self.shapes[i].dense_parameters

    def parameters(self, i: int, rank: int) -> int:
        """What group i stores at this rank."""
        return self.shapes[i].dense_parameters if self.is_dense(i, rank) else self.shapes[i].parameters(rank)

    def spent(self, ranks: Sequence[int]) -> int:
        """What all groups store at these ranks."""
        return sum(self.parameters(i, rank) for i, rank in enumerate(ranks))

    def real(self, ranks: Sequence[int]) -> Floats:
        """The real ranks of what all groups store at these ranks."""
        return np.array([self.parameters(i, rank) for i, rank in enumerate(ranks)]) / self.costs

    def allowed(self, i: int, rank: int) -> int:
        """The highest rank up to `rank` that group i may have, or its lowest one; its largest one where it is stored dense."""
        rank = min(max(rank, self.low[i]), self.high[i])
        return self.shapes[i].max_rank if self.is_dense(i, rank) else max(self.low[i], rank - rank % self.multiple)

    def above(self, i: int, rank: int) -> int | None:
        """The next higher rank of group i, None where it can have no more."""
        higher = self.allowed(i, rank + self.multiple - rank % self.multiple)
        return higher if higher > rank else None  # the highest rank of one that may become dense later on need be no multiple

    def below(self, i: int, rank: int) -> int | None:
        """The next lower rank of group i, None where it can have no less."""
        lower = self.largest_factored(i) if self.is_dense(i, rank) else (rank - 1) // self.multiple * self.multiple
        return lower if lower >= self.low[i] else None

    def largest_factored(self, i: int) -> int:
        """The highest rank of group i that stores fewer numbers than its matrices; less than its lowest where there is none."""
        shape = self.shapes[i]
        return shape.rank_within(shape.dense_parameters - 1) // self.multiple * self.multiple

    def ladder(self, i: int) -> Integers:
        """The ranks of group i from its lowest to its highest one, those among them at which it is stored dense."""
        inner = np.arange(self.low[i] // self.multiple + 1, -(-self.high[i] // self.multiple)) * self.multiple
        return np.unique([self.low[i], *inner, self.high[i]])

    def with_dense(self, chosen: Collection[int]) -> Problem:
        """The same problem with the chosen groups stored dense and all others below their break-even rank."""
        tops = [shape.max_rank if i in chosen else self.largest_factored(i) for i, shape in enumerate(self.shapes)]
        low = tuple(top if i in chosen else low for i, (top, low) in enumerate(zip(tops, self.low, strict=True)))
        return replace(self, low=low, high=tuple(top if i in chosen else min(top, self.high[i]) for i, top in enumerate(tops)))

    def joined(self, other: Problem) -> Problem:
        """The groups of both under the sum of their budgets."""
        label, shapes, budget = f"{self.label}, {other.label}", self.shapes + other.shapes, self.budget + other.budget
        return replace(self, label=label, shapes=shapes, budget=budget, low=self.low + other.low, high=self.high + other.high)

    def part(self, chosen: Sequence[int]) -> Problem:
        """The chosen groups alone, under the whole budget."""
        shapes = tuple(self.shapes[i] for i in chosen)
        return replace(self, shapes=shapes, low=tuple(self.low[i] for i in chosen), high=tuple(self.high[i] for i in chosen))


def problems_of(evidence: Evidence, ratio: float, options: Options, dense: bool) -> list[Problem]:
    """The problems of a model: one for each kind of projection, or with scope `model` a single one.

    A budget is `(1 − ratio) · Σ d1·n·d2`, rounded down. Raises BudgetError naming every problem that cannot be met: too little for rank 1
    or for the floors in every group, or caps below what has to be spent.
    """
    members: dict[str, list[Shape]] = {}
    for shape in evidence.shapes:
        members.setdefault("model" if options.scope == "model" else shape.kind, []).append(shape)
    problems = [_problem(label, shapes, ratio, options, dense, evidence) for label, shapes in members.items()]
    poor = [text for problem in problems for text in _too_small(problem)]
    if poor:
        least = f"rank {options.rank_multiple}" + (", the lowest with that rank_multiple," if options.rank_multiple > 1 else "")
        raise BudgetError(f"ratio {ratio:g} leaves too little for {least} in every group; lower it. Too small: {'; '.join(poor)}")
    bounded = [text for problem in problems for text in _bound_faults(problem, options)]
    if bounded:
        raise BudgetError(f"ratio {ratio:g}: floor and cap, in multiples of the uniform rank, leave no way to meet {'; '.join(bounded)}")
    return problems


def _problem(label: str, shapes: Sequence[Shape], ratio: float, options: Options, dense: bool, evidence: Evidence) -> Problem:
    keep = 1 - Fraction(str(ratio))  # the decimal that was asked for: 1 − 0.7 must not lose a parameter to its binary form
    total = sum(shape.dense_parameters for shape in shapes)
    budget = math.floor(keep * total)
    # Bounds are rounded away from the uniform rank, so that 1 × the uniform rank, which is seldom whole, is a bound that can be met.
    unit = options.rank_multiple
    floors = [math.floor(shape.rank_of(options.floor * budget / total * shape.dense_parameters) + 1e-9) for shape in shapes]
    low = [max(rank // unit * unit, min(unit, shape.max_rank)) for rank, shape in zip(floors, shapes, strict=True)]
    high = [shape.max_rank if dense or shape.max_rank < unit else shape.max_rank // unit * unit for shape in shapes]
    if options.cap is not None:
        caps = [math.ceil(shape.rank_of(options.cap * budget / total * shape.dense_parameters) - 1e-9) for shape in shapes]
        high = [min(top, max(-(-rank // unit), 1) * unit) for top, rank in zip(high, caps, strict=True)]
    return Problem(label, tuple(shapes), budget, tuple(low), tuple(high), dense, evidence, unit, ratio)


def _too_small(problem: Problem) -> list[str]:
    lowest = [min(problem.multiple, shape.max_rank) for shape in problem.shapes]
    least, total = problem.spent(lowest), sum(shape.dense_parameters for shape in problem.shapes)
    if problem.budget >= least:
        return []
    highest = math.floor(1e4 * (1 - least / total)) / 1e4
    return [f"{problem.label}: {problem.budget} parameters, rank {problem.multiple} costs {least} (highest ratio {highest:.4f})"]


def _remedy(problem: Problem) -> str:
    total = sum(shape.dense_parameters for shape in problem.shapes)
    below = [shape.name for shape in problem.shapes if shape.rank_of(problem.budget / total * shape.dense_parameters) < problem.multiple]
    if not below:
        return "a floor of 1 always fits"
    named = ", ".join(below[:3]) + (" and more" if len(below) > 3 else "")
    return f"lower it: the uniform rank of {named} is below {problem.multiple}, and none gets less"


def _bound_faults(problem: Problem, options: Options) -> list[str]:
    faults = []
    least = problem.spent(problem.low)
    if least > problem.budget:
        faults.append(f"{problem.label}: {problem.budget} parameters, floor {options.floor:g} costs {least} ({_remedy(problem)})")
    most = problem.spent([problem.allowed(i, rank) for i, rank in enumerate(problem.high)])
    if options.cap is not None and problem.budget - most >= min(shape.parameters(1) for shape in problem.shapes):
        faults.append(f"{problem.label}: {problem.budget} parameters, cap {options.cap:g} spends at most {most} (a cap of 1 spends all)")
    return faults
