"""Perplexity over consecutive windows, out of their losses.

Two means are reported: over tokens, and over windows (what the D-Rank release prints), which differ only where the last window is
shorter than the others. Beside a dense model two more: the mean over tokens of KL(dense ‖ model), and the share of tokens of which
both hold the same likeliest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drank.statistics.intervals import Interval, mean_interval, perplexity_interval

if TYPE_CHECKING:
    from drank.corpora.windows import Tokens
    from drank.evaluation.losses import WindowLosses


def summarised(texts: Sequence[Tokens], found: Mapping[str, WindowLosses]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows and the detail of a perplexity record: both means on every text, the token mean with its interval over windows.

    Of losses beside a dense model also `kl_to_dense`, in nats per token, and `top1_agreement`, both with theirs. One window has none.
    """
    rows: list[dict[str, Any]] = []
    detail: dict[str, Any] = {}
    for text in texts:
        losses = found[text.corpus]
        token_mean = {"metric": "perplexity", **_told(perplexity_interval(losses.loss, losses.tokens)), "count": sum(losses.tokens)}
        window_mean = {"metric": "perplexity_window_mean", "value": losses.window_mean, "count": len(losses.loss)}
        rows += [{"dataset": text.corpus, **token_mean}, {"dataset": text.corpus, **window_mean}]
        hashes = {"text_sha256": text.text_sha256, "tokens_sha256": text.ids_sha256}
        detail[text.corpus] = {"window_loss": losses.loss, "window_tokens": losses.tokens, **hashes}
        for metric, (key, sums, within) in {
            "kl_to_dense": ("window_divergence", losses.divergence, (0.0, math.inf)),
            "top1_agreement": ("window_agreed", losses.agreed, (0.0, 1.0)),
        }.items():
            if sums is not None:
                told = _told(mean_interval(sums, losses.tokens, within))
                rows.append({"dataset": text.corpus, "metric": metric, **told, "count": sum(losses.tokens)})
                detail[text.corpus][key] = sums
    return rows, detail


def _told(interval: Interval) -> dict[str, float]:
    """The fields of a row that an interval fills, its ends where it has any."""
    ends = {} if math.isnan(interval.low) else {"ci_low": interval.low, "ci_high": interval.high}
    return {"value": interval.value, **ends}
