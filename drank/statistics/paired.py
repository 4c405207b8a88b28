"""Paired differences: how far one model lies above another on the same windows, or on the same items.

What makes a window hard for both models cancels, so a paired interval is far narrower than the difference of two intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from drank.statistics.intervals import Estimate, Interval, clustered_mean, estimate_of, perplexity_of, windows_of


class PairedDifference(NamedTuple):
    """How far model a lies above model b: in perplexity, and in the log of perplexity (nats per token), on which it is tested."""

    perplexity: Interval
    log_perplexity: Interval
    estimate: Estimate


def paired_difference(loss_a: ArrayLike, tokens_a: ArrayLike, loss_b: ArrayLike, tokens_b: ArrayLike) -> PairedDifference:
    """The difference a − b in perplexity and log-perplexity, with paired intervals; ValueError unless both saw the same windows.

    That of the perplexities is the first-order one: an error of a mean loss moves its perplexity by as many times that perplexity.
    """
    losses_a, weights = windows_of(loss_a, tokens_a)
    losses_b, weights_b = windows_of(loss_b, tokens_b)
    if not np.array_equal(weights, weights_b):
        raise ValueError(
            f"a paired interval needs the same windows on both sides, but these have {len(weights)} windows of {weights.sum():.0f} "
            f"tokens and {len(weights_b)} windows of {weights_b.sum():.0f} tokens; evaluate both again with the same windows and length"
        )
    mean_a, mean_b = (float(losses.sum() / weights.sum()) for losses in (losses_a, losses_b))
    over_a, over_b = perplexity_of(mean_a), perplexity_of(mean_b)
    residuals = over_a * (losses_a - mean_a * weights) - over_b * (losses_b - mean_b * weights)
    gaps = (losses_a - losses_b) - (mean_a - mean_b) * weights
    estimate = estimate_of(mean_a - mean_b, gaps, weights, max(abs(mean_a), abs(mean_b)))
    return PairedDifference(estimate_of(over_a - over_b, residuals, weights, max(over_a, over_b)).interval, estimate.interval, estimate)


def paired_items(correct_a: ArrayLike, correct_b: ArrayLike, passages: Sequence[int] | None = None) -> Estimate:
    """The difference a − b in accuracy over the same items; `passages` tells which of them share one, and so are one unit.

    Raises ValueError unless both have the same items, and each item its passage.
    """
    one, two = np.asarray(correct_a, np.float64), np.asarray(correct_b, np.float64)
    if one.shape != two.shape:
        raise ValueError(f"a paired difference needs the same items on both sides, but these have {len(one)} and {len(two)}")
    return clustered_mean(one - two, passages)
