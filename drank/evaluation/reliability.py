"""Calibration error: how far the probability of the likeliest token lies from how often that token comes (arXiv:1706.04599, eq. 3).

Bins are of equal width, so that no token decides where another falls, and sums over windows join.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from drank.statistics.intervals import Interval, mean_interval, mean_of
from drank.statistics.proportions import Z

if TYPE_CHECKING:
    from torch import Tensor

BINS = 15
"""Parts of the range from 0 to 1."""

Bins = list[list[float]]
"""Of each bin the number of tokens whose highest probability lies in it, the sum of these, and how many of the likeliest tokens came."""


def binned(confidence: Tensor, right: Tensor) -> Tensor:
    """The `Bins` of tokens, (BINS, 3) in float64, from the highest probability of each, (tokens,), and whether that token came.

    A probability of 1 lies in the last bin; one that is no number, of which the loss tells, in the first.
    """
    import torch

    place = (confidence * BINS).nan_to_num().long().clamp(0, BINS - 1)
    inside = torch.nn.functional.one_hot(place, BINS).double()  # (tokens, BINS)
    return inside.T @ torch.stack([torch.ones_like(confidence), confidence, right.to(confidence.dtype)], dim=1).double()


def calibration_error(bins: Sequence[Bins]) -> Interval:
    """Σ |hits − confidence| / tokens over the bins of all windows, (windows, BINS, 3), with its 95 % interval over windows.

    To first order windows move each bin to the side to which it errs on the whole, so that the error is a mean of what they add there. Of
    a bin that errs to no side for sure chance alone makes up to √(2/π) of its error, by which the interval reaches further down.
    """
    sums = np.asarray(bins, np.float64)
    tokens, apart = sums[:, :, 0].sum(1), sums[:, :, 2] - sums[:, :, 1]
    value, low, high = mean_interval(apart @ np.sign(apart.sum(0)), tokens, (0.0, 1.0))
    sides = [mean_of(side, tokens) for side in apart.T]
    chance = sum(one.stderr for one in sides if abs(one.value) < Z * one.stderr) * math.sqrt(2 / math.pi)
    return Interval(value, low if math.isnan(low) else max(0.0, low - chance), high)
