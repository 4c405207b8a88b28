"""Models as allocators see them: shapes of Llama models, spectra with a known effective rank, and what plans and ranks must hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import scipy.optimize
from hypothesis import strategies as st

from drank.allocation.allocate import allocate
from drank.allocation.allocators import ALLOCATORS
from drank.allocation.evidence import Evidence
from drank.allocation.plan import Plan
from drank.allocation.problem import Problem
from drank.models.groups import Shape


def model_shapes(hidden: int, key_value: int, inner: int, layers: int, group: int) -> list[Shape]:
    """The groups of a Llama model: Q, K, V, gate and up by `group`, O and down alone."""
    sides = {"q": (hidden, hidden), "k": (hidden, key_value), "v": (hidden, key_value), "o": (hidden, hidden)}
    sides |= {"gate": (hidden, inner), "up": (hidden, inner), "down": (inner, hidden)}
    shapes = []
    for role, (rows, columns) in sides.items():
        size = 1 if role in ("o", "down") else group
        shapes += [Shape(role, tuple(range(i, min(i + size, layers))), rows, columns) for i in range(0, layers, size)]
    return shapes


SMALL = {
    "mha": model_shapes(24, 24, 64, 6, 2),
    "mha with a remainder": model_shapes(24, 24, 64, 7, 2),
    "gqa": model_shapes(24, 8, 64, 6, 1),
    "gqa in groups with a remainder": model_shapes(24, 8, 64, 5, 3),
}


@st.composite
def models(draw):
    """Shapes of a multi-head, grouped-query, fused or mixture-of-experts model with any sizes, grouping and remainder."""
    side = st.integers(4, 14)
    hidden, inner, layers, group = draw(side), draw(side), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    key_value = draw(st.sampled_from([hidden, max(2, hidden // 2)]))
    attention = draw(st.sampled_from(["separate", "fused"]))
    experts = draw(st.sampled_from([0, 3]))
    sides = {"q": (hidden, hidden), "k": (hidden, key_value), "v": (hidden, key_value)} if attention == "separate" else {}
    sides |= {} if attention == "separate" else {"qkv": (hidden, 3 * hidden)}
    sides |= {"o": (hidden, hidden)}
    for suffix in [f".{expert}" for expert in range(experts)] or [""]:
        sides |= {f"gate{suffix}": (hidden, inner), f"up{suffix}": (hidden, inner), f"down{suffix}": (inner, hidden)}
    return [
        Shape(role, tuple(range(i, min(i + size, layers))), rows, columns)
        for role, (rows, columns) in sides.items()
        for size in [1 if role[0] in "od" else group]
        for i in range(0, layers, size)
    ]


def flat_spectrum(effective_rank: float, length: int) -> np.ndarray:
    """λ whose spectral entropy is exactly that of `effective_rank`: so many ones, and one value below 1 for the fraction."""
    whole = min(math.floor(effective_rank), length)

    def entropy(last: float) -> float:
        shares = np.array([*np.full(whole, 1.0), last]) / (whole + last)
        return float(np.exp(-(shares * np.log(shares)).sum())) - effective_rank

    values = np.zeros(length)
    values[:whole] = 1
    if whole < length and effective_rank - whole > 1e-9:
        values[whole] = scipy.optimize.brentq(entropy, 1e-300, 1.0, xtol=1e-15)
    return values


def evidence_of(shapes: Sequence[Shape], density: dict[str, float]) -> Evidence:
    """Spectra with the given effective ranks, as far as a group has so many λ."""
    return Evidence(tuple(shapes), {s.name: flat_spectrum(min(density[s.name], s.max_rank), s.max_rank) for s in shapes})


def random_evidence(shapes: Sequence[Shape], seed: int, decay: Callable[[np.random.Generator], float] = lambda rng: rng.uniform(0.3, 2)):
    """Everything an allocator may read, at random: falling λ of several scales, slopes of both signs, similarities, perplexities."""
    rng = np.random.default_rng(seed)
    energies = {s.name: rng.lognormal() * np.arange(1, s.max_rank + 1.0) ** -decay(rng) for s in shapes}
    slopes = {name: rng.normal(size=len(values)) * np.sqrt(values) for name, values in energies.items()}
    layers = 1 + max(max(shape.layers) for shape in shapes)
    sensitivity = {s.name: {f"{k / 10:g}": 20 + float(rng.lognormal()) * (10 - k) ** 2 for k in range(1, 10)} for s in shapes}
    return Evidence(tuple(shapes), energies, slopes, rng.uniform(0.5, 1, layers).tolist(), sensitivity)


def random_density(shapes: Sequence[Shape], seed: int) -> dict[str, float]:
    """V carries much more than Q and K, as in the paper's table 1."""
    rng = np.random.default_rng(seed)
    level = {"q": 1.0, "k": 0.5, "v": 10.0}
    return {shape.name: min(shape.max_rank, float(1 + level.get(shape.role, 5.0) * rng.lognormal())) for shape in shapes}


def problem(
    shapes: Sequence[Shape], budget: int, *, energies: Sequence[np.ndarray] = (), dense: bool = False, low=None, high=None
) -> Problem:
    """A problem as it is, with λ in the order of the shapes."""
    evidence = Evidence(tuple(shapes), {s.name: np.asarray(e, dtype=float) for s, e in zip(shapes, energies, strict=False)})
    low, high = low or [1] * len(shapes), high or [shape.max_rank for shape in shapes]
    return Problem("q", tuple(shapes), budget, tuple(low), tuple(high), dense, evidence)


def of_kind(plan: Plan, kind: str) -> list[int]:
    """The ranks of one kind of projection."""
    return [group.rank for group in plan.groups if group.shape.kind == kind]


D_RANK = {"allocator": "effective-rank", "beta": 0.3, "dense_past_break_even": False, "seed": 13}
MOVABLE = [name for name, allocator in ALLOCATORS.items() if allocator.movable]
SPENDING = [name for name, allocator in ALLOCATORS.items() if allocator.budgeted and allocator.held]
AS_RELEASED = [name for name, allocator in ALLOCATORS.items() if allocator.budgeted and not allocator.held]


def plan_of(evidence: Evidence, ratio: float, **options) -> Plan:
    return allocate(evidence, ratio, {"mix": 0.4} | options, model="m", method="x")


def budget_of(shapes, ratio: float) -> int:
    return math.floor((1 - Fraction(str(ratio))) * sum(shape.dense_parameters for shape in shapes))


def scopes_of(shapes, scope: str, beta: float) -> list[list[str]]:
    kinds = list(dict.fromkeys(shape.kind for shape in shapes))
    if scope == "model":
        return [kinds]
    return [["q", "k", "v"], *([kind] for kind in kinds if kind not in ("q", "k", "v"))] if beta else [[kind] for kind in kinds]


def assert_budgets(plan: Plan, ratio: float, scope: str = "type", beta: float = 0.0, cap: float | None = None) -> None:
    """Per scope: never above, and less left than any group that is not dense, at its largest rank or at its cap asks for one more."""
    for kinds in scopes_of([group.shape for group in plan.groups], scope, beta):
        members = [group for group in plan.groups if group.shape.kind in kinds]
        parts = [members] if scope == "model" else [[g for g in members if g.shape.kind == kind] for kind in kinds]
        left = sum(budget_of([g.shape for g in part], ratio) for part in parts) - sum(group.parameters for group in members)
        assert left >= 0, kinds
        for group in members:
            shape = group.shape
            highest = shape.max_rank if cap is None else math.floor(cap * (1 - ratio) * shape.break_even)
            assert group.dense or group.rank >= highest or left < shape.cost, (kinds, shape.name)


def assert_full(case: Problem, ranks) -> None:
    left = case.budget - case.spent(ranks)
    assert left >= 0
    for i, rank in enumerate(ranks):
        assert case.low[i] <= rank and (rank <= case.high[i] or case.is_dense(i, rank))
        if rank < case.high[i]:
            assert case.parameters(i, rank + 1) - case.parameters(i, rank) > left


def equation_7(density, costs, budget):
    """k_g = T / Σ_j sqrt(R_j ω_j) · sqrt(R_g / ω_g)."""
    return budget / np.sqrt(density * costs).sum() * np.sqrt(density / costs)


def a_problem(budget_share: float, seed: int = 0, **options) -> Problem:
    """Eight Q groups of 30 × 30 and a last one of half the width."""
    shapes = (*(Shape("q", (2 * i, 2 * i + 1), 30, 15) for i in range(8)), Shape("q", (16,), 30, 15))
    budget = int(budget_share * sum(shape.dense_parameters for shape in shapes))
    highest = tuple(shape.max_rank for shape in shapes)
    return Problem("q", shapes, budget, options.get("low", (1,) * 9), options.get("high", highest), False, random_evidence(shapes, seed))
