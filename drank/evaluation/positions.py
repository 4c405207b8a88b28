"""The loss by position in the window: what a token costs after so many others, in bands that double."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from drank.statistics.intervals import mean_interval

if TYPE_CHECKING:
    from torch import Tensor

FIRST = 32
"""Tokens of the first band; each further one is as long as all before it."""


def bands(tokens: int) -> list[tuple[int, int]]:
    """The bands of so many predicted tokens, as the first and last position; a position is the number of tokens that stand before."""
    ends = [0]
    while ends[-1] < tokens:
        ends.append(min(max(FIRST, 2 * ends[-1]), tokens))
    return [(before + 1, end) for before, end in pairwise(ends)]


def banded(losses: Tensor, tokens: int) -> Tensor:
    """The summed losses of one window by band, (bands of `tokens`,): zero where it is shorter than that."""
    import torch

    return torch.stack([losses[first - 1 : last].sum() for first, last in bands(tokens)])


def loss_by_position(sums: Sequence[Sequence[float]], tokens: Sequence[int]) -> list[dict[str, Any]]:
    """Of each band its `first` and `last` position and the mean `loss` in nats with its interval over windows.

    `sums` holds the losses of each window by band, `tokens` how many it predicts; a band counts the windows that reach it.
    """
    found = []
    for number, (first, last) in enumerate(bands(max(tokens))):
        inside = [max(0, min(count, last) - first + 1) for count in tokens]
        reaching = [place for place, count in enumerate(inside) if count]
        loss = mean_interval([sums[place][number] for place in reaching], [inside[place] for place in reaching])
        count = sum(inside)
        found.append({"first": first, "last": last, "loss": loss.value, **loss.ends, "tokens": count})
    return found
