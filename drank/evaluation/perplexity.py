"""Perplexity over consecutive windows, out of their losses.

Two means are reported: over tokens, and over windows (what the D-Rank release prints), which differ only where the last window is
shorter than the others. With them come the calibration error and the loss by position; beside a dense model the mean over tokens of
KL(dense ‖ model), and the share of tokens of which both hold the same likeliest; and what the model writes when it goes on by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from drank.evaluation.positions import loss_by_position
from drank.evaluation.reliability import calibration_error
from drank.evaluation.repetition import told_of
from drank.statistics.intervals import Interval, mean_interval, perplexity_interval

if TYPE_CHECKING:
    from drank.corpora.windows import Tokens
    from drank.evaluation.continuations import Continuations
    from drank.evaluation.losses import WindowLosses


def summarised(
    texts: Sequence[Tokens],
    found: Mapping[str, WindowLosses],
    continued: Mapping[str, Continuations] | None = None,
    decode: Callable[[list[int]], str] = str,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows and the detail of a perplexity record: both means on every text, the token mean with its interval over windows.

    Beside them `calibration_error` and, of losses beside a dense model, `kl_to_dense`, in nats per token, and `top1_agreement`, all with
    theirs; where what a model writes is `continued` from a text, also `repeated_4grams`. One window has no interval.
    `decode` makes text of token ids.
    """
    rows: list[dict[str, Any]] = []
    detail: dict[str, Any] = {}
    for text in texts:
        losses = found[text.corpus]
        hashes = {"text_sha256": text.text_sha256, "tokens_sha256": text.ids_sha256}
        detail[text.corpus] = {"window_loss": losses.loss, "window_tokens": losses.tokens, **hashes, **_beside(losses)}
        told = list(_of_losses(losses))
        if continued and text.corpus in continued:
            more, detail[text.corpus]["continuations"] = told_of(continued[text.corpus], decode)
            told += more
        rows += [{"dataset": text.corpus, **row} for row in told]
    return rows, detail


def _of_losses(losses: WindowLosses) -> Iterator[dict[str, Any]]:
    """The rows of one text, without its name."""
    count = sum(losses.tokens)
    yield _row("perplexity", perplexity_interval(losses.loss, losses.tokens), count)
    yield {"metric": "perplexity_window_mean", "value": losses.window_mean, "count": len(losses.loss)}
    if losses.bins is not None:
        yield _row("calibration_error", calibration_error(losses.bins), count)
    for metric, sums, within in (
        ("kl_to_dense", losses.divergence, (0.0, math.inf)),
        ("top1_agreement", losses.agreed, (0.0, 1.0)),
    ):
        if sums is not None:
            yield _row(metric, mean_interval(sums, losses.tokens, within), count)


def _beside(losses: WindowLosses) -> dict[str, Any]:
    """What a record keeps of a text beside its losses, as far as it was measured: by window, by bin of confidence and by position."""
    told: dict[str, Any] = {"window_divergence": losses.divergence, "window_agreed": losses.agreed}
    if losses.bins is not None:
        tokens, confidence, hits = np.asarray(losses.bins, np.float64).sum(0).T.tolist()
        told["calibration_bins"] = {"tokens": tokens, "confidence": confidence, "hits": hits}
    if losses.banded is not None:
        told["loss_by_position"] = loss_by_position(losses.banded, losses.tokens)
    return {key: value for key, value in told.items() if value is not None}


def _row(metric: str, found: Interval, count: int) -> dict[str, Any]:
    return {"metric": metric, "value": found.value, **found.ends, "count": count}
