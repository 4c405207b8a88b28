"""Bootstrap intervals of perplexities and of their paired differences, resampling whole evaluation windows.

Percentile bootstrap (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13). A window is the unit because tokens inside
one are far from independent; two models are compared on the same resampled windows, so what makes a window hard for both cancels.
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


class PairedDifference(NamedTuple):
    """How far model a lies above model b: in perplexity, and in the log of perplexity (nats per token)."""

    perplexity: Interval
    log_perplexity: Interval


def perplexity_interval(loss: ArrayLike, tokens: ArrayLike, resamples: int = 1000, seed: int = 0) -> Interval:
    """exp(Σ loss / Σ tokens) with its bootstrap interval over windows.

    `loss` holds the summed negative log-likelihood of each window in nats, `tokens` its number of predicted tokens.
    """
    losses, weights = _windows(loss, tokens)
    counts = _resampled(len(losses), resamples, seed)
    return _interval(_exp(losses.sum() / weights.sum()), np.exp((counts @ losses) / (counts @ weights)))


def paired_difference(
    loss_a: ArrayLike, tokens_a: ArrayLike, loss_b: ArrayLike, tokens_b: ArrayLike, resamples: int = 1000, seed: int = 0
) -> PairedDifference:
    """The difference a − b in perplexity and log-perplexity, with paired intervals; ValueError unless both saw the same windows."""
    losses_a, weights = _windows(loss_a, tokens_a)
    losses_b, weights_b = _windows(loss_b, tokens_b)
    if not np.array_equal(weights, weights_b):
        raise ValueError(
            f"a paired interval needs the same windows on both sides, but these have {len(weights)} windows of {weights.sum():.0f} "
            f"tokens and {len(weights_b)} windows of {weights_b.sum():.0f} tokens; evaluate both again with the same windows and length"
        )
    counts = _resampled(len(weights), resamples, seed)
    sampled = counts @ weights
    mean_a, mean_b = losses_a.sum() / weights.sum(), losses_b.sum() / weights.sum()
    samples_a, samples_b = (counts @ losses_a) / sampled, (counts @ losses_b) / sampled
    return PairedDifference(
        _interval(_exp(mean_a) - _exp(mean_b), np.exp(samples_a) - np.exp(samples_b)),
        _interval(mean_a - mean_b, samples_a - samples_b),
    )


def _windows(loss: ArrayLike, tokens: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float64 vectors of one length; ValueError where they are no losses of windows."""
    losses, weights = np.asarray(loss, np.float64), np.asarray(tokens, np.float64)
    if losses.ndim != 1 or losses.shape != weights.shape or losses.size == 0:
        raise ValueError(f"one loss and one token count per window are needed, got shapes {losses.shape} and {weights.shape}")
    bad: Sequence[int] = np.flatnonzero(~np.isfinite(losses) | ~(weights > 0)).tolist()
    if bad:
        raise ValueError(f"windows {bad[:10]} of {len(losses)} have a non-finite loss or no tokens; no interval can be drawn over them")
    return losses, weights


def _resampled(windows: int, resamples: int, seed: int) -> Floats:
    """How often each window is drawn in each resample, (resamples, windows)."""
    return np.random.default_rng(seed).multinomial(windows, np.full(windows, 1 / windows), resamples).astype(np.float64)


def _exp(mean: float) -> float:
    """The perplexity of a mean loss; ValueError where it exceeds what a float can hold."""
    if mean > np.log(np.finfo(np.float64).max):
        raise ValueError(f"a mean loss of {mean:.1f} nats per token has no finite perplexity; the model is broken, not merely bad")
    return float(np.exp(mean))


def _interval(value: float, samples: Floats) -> Interval:
    """The central 95 % of the samples, widened where needed to hold the point estimate (rounding, or a handful of windows)."""
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), min(float(low), float(value)), max(float(high), float(value)))
