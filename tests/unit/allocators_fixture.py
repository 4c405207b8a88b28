"""Models as allocators see them: shapes of Llama models and spectra with a known effective rank."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import scipy.optimize

from drank.allocation import Evidence
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
