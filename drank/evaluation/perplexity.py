"""Perplexity over consecutive windows, out of their losses.

Two means are reported: over tokens, and over windows (what the D-Rank release prints), which differ only where the last window is
shorter than the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drank.evaluation.bootstrap import perplexity_interval

if TYPE_CHECKING:
    from drank.corpora.windows import Tokens
    from drank.evaluation.losses import WindowLosses


def summarised(texts: Sequence[Tokens], found: Mapping[str, WindowLosses]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows and the detail of a perplexity record: both means on every text, the token mean with its bootstrap interval."""
    rows: list[dict[str, Any]] = []
    detail = {}
    for text in texts:
        losses = found[text.corpus]
        value, low, high = perplexity_interval(losses.loss, losses.tokens)
        token_mean = {"metric": "perplexity", "value": value, "ci_low": low, "ci_high": high, "count": sum(losses.tokens)}
        window_mean = {"metric": "perplexity_window_mean", "value": losses.window_mean, "count": len(losses.loss)}
        rows += [{"dataset": text.corpus, **token_mean}, {"dataset": text.corpus, **window_mean}]
        hashes = {"text_sha256": text.text_sha256, "tokens_sha256": text.ids_sha256}
        detail[text.corpus] = {"window_loss": losses.loss, "window_tokens": losses.tokens, **hashes}
    return rows, detail
