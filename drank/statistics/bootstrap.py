"""Percentile bootstrap over whole evaluation windows (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13).

A window is the unit because tokens inside one are far from independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
"""Coverage of every interval in drank."""


Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A point estimate and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def perplexity_interval(loss: ArrayLike, tokens: ArrayLike, resamples: int = 1000, seed: int = 0) -> Interval:
    """exp(Σ loss / Σ tokens) with its bootstrap interval over windows.

    `loss` holds the summed negative log-likelihood of each window in nats, `tokens` its number of predicted tokens.
    """
    losses, weights = windows_of(loss, tokens)
    counts = resampled(len(losses), resamples, seed)
    return interval_of(perplexity_of(losses.sum() / weights.sum()), np.exp((counts @ losses) / (counts @ weights)))


def mean_interval(sums: ArrayLike, tokens: ArrayLike, resamples: int = 1000, seed: int = 0) -> Interval:
    """Σ sums / Σ tokens, a mean per token of what windows sum up, with its bootstrap interval over windows."""
    found, weights = windows_of(sums, tokens)
    counts = resampled(len(found), resamples, seed)
    return interval_of(float(found.sum() / weights.sum()), (counts @ found) / (counts @ weights))


def windows_of(loss: ArrayLike, tokens: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float64 vectors of one length; ValueError where they are no losses of windows."""
    losses, weights = np.asarray(loss, np.float64), np.asarray(tokens, np.float64)
    if losses.ndim != 1 or losses.shape != weights.shape or losses.size == 0:
        raise ValueError(f"one loss and one token count per window are needed, got shapes {losses.shape} and {weights.shape}")
    bad: Sequence[int] = np.flatnonzero(~np.isfinite(losses) | ~(weights > 0)).tolist()
    if bad:
        raise ValueError(f"windows {bad[:10]} of {len(losses)} have a non-finite loss or no tokens; no interval can be drawn over them")
    return losses, weights


def resampled(windows: int, resamples: int, seed: int) -> Floats:
    """How often each window is drawn in each resample, (resamples, windows)."""
    return np.random.default_rng(seed).multinomial(windows, np.full(windows, 1 / windows), resamples).astype(np.float64)


def perplexity_of(mean: float) -> float:
    """The perplexity of a mean loss; ValueError where it exceeds what a float can hold."""
    if mean > np.log(np.finfo(np.float64).max):
        raise ValueError(f"a mean loss of {mean:.1f} nats per token has no finite perplexity; the model is broken, not merely bad")
    return float(np.exp(mean))


def interval_of(value: float, samples: Floats) -> Interval:
    """The central 95 % of the samples, widened where needed to hold the point estimate (rounding, or a handful of windows)."""
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), min(float(low), float(value)), max(float(high), float(value)))
