"""Perplexity over consecutive windows, out of their losses.

Two means are reported: over tokens, and over windows (what the D-Rank release prints), which differ only where the last window is
shorter than the others. Beside a dense model two more: the mean over tokens of KL(dense ‖ model), and the share of tokens of which
both hold the same likeliest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drank.statistics.bootstrap import mean_interval, perplexity_interval

if TYPE_CHECKING:
    from drank.corpora.windows import Tokens
    from drank.evaluation.losses import WindowLosses


def summarised(texts: Sequence[Tokens], found: Mapping[str, WindowLosses]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows and the detail of a perplexity record: both means on every text, the token mean with its bootstrap interval.

    Of losses beside a dense model also `kl_to_dense`, in nats per token, and `top1_agreement`, both with theirs.
    """
    rows: list[dict[str, Any]] = []
    detail: dict[str, Any] = {}
    for text in texts:
        losses = found[text.corpus]
        value, low, high = perplexity_interval(losses.loss, losses.tokens)
        token_mean = {"metric": "perplexity", "value": value, "ci_low": low, "ci_high": high, "count": sum(losses.tokens)}
        window_mean = {"metric": "perplexity_window_mean", "value": losses.window_mean, "count": len(losses.loss)}
        rows += [{"dataset": text.corpus, **token_mean}, {"dataset": text.corpus, **window_mean}]
        hashes = {"text_sha256": text.text_sha256, "tokens_sha256": text.ids_sha256}
        detail[text.corpus] = {"window_loss": losses.loss, "window_tokens": losses.tokens, **hashes}
        for metric, (key, sums) in {
            "kl_to_dense": ("window_divergence", losses.divergence),
            "top1_agreement": ("window_agreed", losses.agreed),
        }.items():
            if sums is not None:
                mean, low, high = mean_interval(sums, losses.tokens)
                rows.append(
                    {"dataset": text.corpus, "metric": metric, "value": mean, "ci_low": low, "ci_high": high, "count": sum(losses.tokens)}
                )
                detail[text.corpus][key] = sums
    return rows, detail
