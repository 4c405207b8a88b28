"""Interpolated Kneser-Ney n-gram models: what a trained network has to beat.

Kneser & Ney (1995), in the interpolated form of Chen & Goodman (1999), one discount per order, `D = n1 / (n1 + 2 n2)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Level:
    """Sorted n-gram keys of one order with their counts, and the same summed over contexts."""

    keys: Ids
    counts: Ids
    contexts: Ids
    totals: Ids
    kinds: Ids
    discount: float


def _keys(tokens: Ids, order: int, vocabulary: int) -> Ids:
    """One integer per n-gram of `tokens`, exact while vocabulary**order < 2**63."""
    keys = np.zeros(len(tokens) - order + 1, dtype=np.int64)
    for offset in range(order):
        keys = keys * vocabulary + tokens[offset : len(tokens) - order + 1 + offset]
    return keys


def _level(keys: Ids, counts: Ids, vocabulary: int) -> _Level:
    contexts, start = np.unique(keys // vocabulary, return_index=True)
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    discount = once / (once + 2 * twice) if once else 0.0
    return _Level(keys, counts, contexts, np.add.reduceat(counts, start), np.diff(np.append(start, len(keys))), discount)


def _lookup(table: Ids, values: Ids, keys: Ids) -> Ids:
    """The value at each key, 0 where the key is absent."""
    position = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return np.where(table[position] == keys, values[position], 0)


def ngram_loss(train: Ids, test: Ids, order: int, vocabulary: int) -> float:
    """Mean negative log-likelihood in nats per token of `test`, from its token `order - 1` on, under a model of `train`.

    Raises ValueError where `vocabulary ** order` does not fit an integer key.
    """
    if vocabulary**order >= 2**63:
        raise ValueError(f"order {order} with {vocabulary} tokens does not fit a 64-bit key; lower the order")
    levels = []
    keys, counts = np.unique(_keys(train, order, vocabulary), return_counts=True)
    for n in range(order, 0, -1):
        levels.append(_level(keys, counts, vocabulary))
        keys, counts = np.unique(keys % vocabulary ** (n - 1), return_counts=True)  # in how many contexts, not how often
    if order == 1:
        levels = [_level(*np.unique(train, return_counts=True), vocabulary)]
    grams = _keys(test, order, vocabulary)
    probability: Floats = np.full(len(grams), 1.0 / vocabulary)
    for n, level in enumerate(reversed(levels), start=1):
        suffix = grams % vocabulary**n
        context = suffix // vocabulary
        total = _lookup(level.contexts, level.totals, context)
        share = np.maximum(_lookup(level.keys, level.counts, suffix) - level.discount, 0.0)
        rest = level.discount * _lookup(level.contexts, level.kinds, context)
        seen = total > 0
        probability = np.where(seen, (share + rest * probability) / np.maximum(total, 1), probability)
    return float(-np.log(probability).mean())
