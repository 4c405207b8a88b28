"""Paired intervals: how far one model's perplexity lies above another's, on the same resampled windows.

What makes a window hard for both models cancels, so a paired interval is far narrower than the difference of two intervals.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from drank.statistics.bootstrap import Interval, interval_of, perplexity_of, resampled, windows_of


class PairedDifference(NamedTuple):
    """How far model a lies above model b: in perplexity, and in the log of perplexity (nats per token)."""

    perplexity: Interval
    log_perplexity: Interval


def paired_difference(
    loss_a: ArrayLike, tokens_a: ArrayLike, loss_b: ArrayLike, tokens_b: ArrayLike, resamples: int = 1000, seed: int = 0
) -> PairedDifference:
    """The difference a − b in perplexity and log-perplexity, with paired intervals; ValueError unless both saw the same windows."""
    losses_a, weights = windows_of(loss_a, tokens_a)
    losses_b, weights_b = windows_of(loss_b, tokens_b)
    if not np.array_equal(weights, weights_b):
        raise ValueError(
            f"a paired interval needs the same windows on both sides, but these have {len(weights)} windows of {weights.sum():.0f} "
            f"tokens and {len(weights_b)} windows of {weights_b.sum():.0f} tokens; evaluate both again with the same windows and length"
        )
    counts = resampled(len(weights), resamples, seed)
    sampled = counts @ weights
    mean_a, mean_b = losses_a.sum() / weights.sum(), losses_b.sum() / weights.sum()
    samples_a, samples_b = (counts @ losses_a) / sampled, (counts @ losses_b) / sampled
    return PairedDifference(
        interval_of(perplexity_of(mean_a) - perplexity_of(mean_b), np.exp(samples_a) - np.exp(samples_b)),
        interval_of(mean_a - mean_b, samples_a - samples_b),
    )
