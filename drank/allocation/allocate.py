"""Plans: each budget's ranks by its allocator, rebalanced where asked, and rounded to meet the budget."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from drank.allocation.allocators import ALLOCATORS
from drank.allocation.densities import DENSITIES, spectral_entropy
from drank.allocation.evidence import Evidence, Floats
from drank.allocation.given import Given
from drank.allocation.guard import guarded, in_units
from drank.allocation.options import Options
from drank.allocation.plan import Plan
from drank.allocation.problem import Problem, problems_of
from drank.allocation.rebalancing import REBALANCES
from drank.allocation.rules import as_given
from drank.models.groups import Group, Shape
from drank.models.storage import STORAGES

CHOICES: dict[str, Collection[str]] = {
    "allocator": ALLOCATORS,
    "density": DENSITIES,
    "scope": ("type", "model"),
    "rebalance": REBALANCES,
    "storage": STORAGES,
}
"""What the options that name something may name."""


def refusal(settings: Mapping[str, Any], kinds: Collection[str]) -> str | None:
    """Why these settings cannot apply to a model with these kinds of projection, None where they can.

    Raises ValueError for settings that are wrong whatever the model.
    """
    options = Options.of(settings, CHOICES)
    allocator, reasons = ALLOCATORS[options.allocator], []
    if options.beta and not {"q", "k", "v"} <= set(kinds):
        found = ", ".join(sorted(kinds))
        reasons.append(f"beta {options.beta:g} needs separate q, k and v projections, this model has {found}; set beta: 0")
    if options.beta and not allocator.movable:
        reasons.append(f"beta {options.beta:g} moves ranks, and those of allocator {options.allocator} stay; set beta: 0")
    if options.guard and not allocator.guardable:
        known = ", ".join(name for name, other in ALLOCATORS.items() if other.guardable)
        reasons.append(f"guard holds ranks that may truncate more than uniform ones, those of {known}; set guard: false")
    if options.guard and options.scope != "type":
        reasons.append("guard decides for each type of projection; set scope: type, or guard: false")
    if changed := [name for name in allocator.lacks if getattr(options, name) != getattr(Options, name)]:
        told = f"allocator {options.allocator} follows {allocator.follows} rank for rank"
        reasons.append(f"{told}, which has no {', '.join(changed)}; leave it out")
    if options.scope not in allocator.scopes:
        reasons.append(f"allocator {options.allocator} has one budget for each type of projection; set scope: type")
    return "; ".join(reasons) or None


def check_budget(shapes: Sequence[Shape], ratio: float, settings: Mapping[str, Any], given: Given | None = None) -> None:
    """Raise BudgetError, naming every budget of these settings that no ranks within their bounds can meet at this ratio.

    Of a plan that is given raise ValueError with everything that these groups cannot have.
    """
    options = Options.of(settings, CHOICES)
    for problem in _problems(Evidence(shapes, given=given), ratio, options):
        if given is not None:
            as_given(problem, options)


def _problems(evidence: Evidence, ratio: float, options: Options) -> list[Problem]:
    allocator = ALLOCATORS[options.allocator]
    dense = allocator.dense or options.dense_past_break_even or not STORAGES[options.storage].past_break_even
    evidence = replace(evidence, shapes=[replace(shape, storage=options.storage) for shape in evidence.shapes])
    if allocator.budgeted:
        return problems_of(evidence, ratio, options, dense)
    shapes = tuple(evidence.shapes)
    full_ranks = tuple(shape.max_rank for shape in shapes)
    budget = sum(shape.max_rank * shape.cost for shape in shapes)
    return [Problem("model", shapes, budget, full_ranks, full_ranks, dense, evidence, ratio=ratio)]


def allocate(evidence: Evidence, ratio: float, settings: Mapping[str, Any], *, model: str, method: str) -> Plan:
    """The plan of one method at one ratio.

    Every kind of projection, or with scope `model` all together, meets the budget `(1 − ratio) · Σ d1·n·d2` of stored numbers to within
    one step of a rank, never above; with β > 0, Q, K and V do so together. Floors and caps hold for the ranks of the plan, after
    rebalancing too. Some allocators differ: `full` has no budget, those of D-Rank's published code end some ranks off it, as that does, and
    a given plan's ranks are as they are given, and the settings have its identity as `given`. The effective rank of a group is the paper's,
    whatever the density.

    Raises BudgetError naming every budget that cannot be met, ValueError naming settings that are wrong or cannot apply to this model
    (`refusal`), evidence that is missing, and what does not fit in a given plan.
    """
    try:
        options = Options.of(settings, CHOICES)
        reason = refusal(settings, {shape.kind for shape in evidence.shapes})
        if reason:
            raise ValueError(reason)
        evidence.check(ALLOCATORS[options.allocator].needs)
    except ValueError as error:
        raise ValueError(f"method {method}: {error}") from error
    groups = [group for problem, ranks in _solved(evidence, ratio, options) for group in _groups(problem, ranks)]
    known = {"given": evidence.given.identity} if evidence.given else {}
    return Plan(model, method, ratio, {**settings, **known}, tuple(groups))


def _solved(evidence: Evidence, ratio: float, options: Options) -> list[tuple[Problem, list[int]]]:
    """Every budget with its final ranks; those of Q, K and V as one where β moves ranks between them."""
    allocator = ALLOCATORS[options.allocator]
    answers = []
    for problem in _problems(evidence, ratio, options):
        # Where β moves ranks on, groups become dense after it, not before.
        factored = replace(problem, dense=problem.dense and not options.beta)
        real = allocator.solve(factored, options)
        claims = allocator.claims(problem, options, real)
        if options.guard and (static := guarded(factored, options, real)) is not real:
            real, claims = static, in_units(problem, claims, static)
        answers.append((problem, real, claims))
    if options.beta:
        answers = [
            (problem, REBALANCES[options.rebalance](problem, real, options.beta) if _attends(problem) else real, claims)
            for problem, real, claims in _joined(answers)
        ]
    return [(problem, allocator.rounded(problem, real, claims)) for problem, real, claims in answers]


def _attends(problem: Problem) -> bool:
    return "v" in {shape.kind for shape in problem.shapes}


def _joined(answers: list[tuple[Problem, Floats, Floats]]) -> list[tuple[Problem, Floats, Floats]]:
    """The answers with those of Q, K and V, where they have a budget each, made one."""
    attention = [answer for answer in answers if answer[0].label in ("q", "k", "v")]
    if not attention:
        return answers
    problem, real, claims = attention[0]
    for other in attention[1:]:
        problem, real, claims = problem.joined(other[0]), np.concatenate([real, other[1]]), np.concatenate([claims, other[2]])
    return [(problem, real, claims), *(answer for answer in answers if answer[0].label not in ("q", "k", "v"))]


def _groups(problem: Problem, ranks: list[int]) -> list[Group]:
    energies = problem.evidence.energies
    return [
        Group(shape, spectral_entropy(energies[shape.name], rank), rank, problem.is_dense(i, rank))
        for i, (shape, rank) in enumerate(zip(problem.shapes, ranks, strict=True))
    ]
