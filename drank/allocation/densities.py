"""Measures of how much a group's spectrum holds, which D-Rank's closed form turns into ranks.

D-Rank (arXiv:2509.25622) takes the spectral entropy of λ = σ²; the others answer what another measure would have given.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drank.allocation.evidence import Floats, tail_of

SHARE = 0.95
"""The share of the energy that `energy_rank` asks for."""

SMALLEST = 1e-12
"""The smallest density, as a share of the largest: a group that holds nothing still has a rank."""


def spectral_entropy(energies: Floats, rank: float) -> float:
    """The effective rank exp(−Σ p ln p), p = λ/Σλ (equations 1 and 2); between 1 and the number of non-zero λ, 1 for a zero spectrum."""
    return _perplexity(energies)


def amplitude_entropy(energies: Floats, rank: float) -> float:
    """The same of the singular values themselves, p = σ/Σσ (Roy and Vetterli's effective rank; Swift-SVD, arXiv:2604.01609)."""
    return _perplexity(np.sqrt(energies))


def stable_rank(energies: Floats, rank: float) -> float:
    """Σλ / λ_1, at least 1; 1 for a zero spectrum."""
    return float(energies.sum() / energies[0]) if energies[0] > 0 else 1.0


def nuclear_norm(energies: Floats, rank: float) -> float:
    """Σσ, in the units of the weighted matrix."""
    return float(np.sqrt(energies).sum())


def energy_rank(energies: Floats, rank: float) -> float:
    """The smallest k whose first k components hold 95 % of Σλ; 1 for a zero spectrum."""
    lost = tail_of(energies)[1:]
    return float(1 + np.argmax(lost <= (1 - SHARE) * energies.sum() * (1 + 1e-9)))


def truncation_loss(energies: Floats, rank: float) -> float:
    """The energy beyond the uniform rank, Σ_{i>k} λ_i; 0 where the spectrum ends before it."""
    return float(energies[max(1, int(rank + 1e-9)) :].sum())


def _perplexity(weights: Floats) -> float:
    """exp of the Shannon entropy, natural logarithm, of non-negative weights; 1 where all are zero."""
    total = weights.sum()
    if total <= 0:
        return 1.0
    shares = weights / total
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


DENSITIES: dict[str, Callable[[Floats, float], float]] = {
    "spectral-entropy": spectral_entropy,
    "amplitude-entropy": amplitude_entropy,
    "stable-rank": stable_rank,
    "nuclear-norm": nuclear_norm,
    "energy-rank": energy_rank,
    "truncation-loss": truncation_loss,
}
"""The densities by name: functions of the λ of a group, in descending order, and of its uniform rank."""


def positive(densities: Floats) -> Floats:
    """Densities with zeros raised to a trifle of the largest; all 1 where all are zero."""
    largest = densities.max()
    return np.maximum(densities, SMALLEST * largest) if largest > 0 else np.ones_like(densities)
