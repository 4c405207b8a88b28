"""Losses over consecutive windows of text without overlap, in float32 per token: what a model is asked for a perplexity.

From the same pass come the losses by position and what calibration is told by. Where the dense model's logits on the same windows are at
hand, also how far the predictions lie from its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from drank.evaluation.batches import batched
from drank.evaluation.positions import banded, bands
from drank.evaluation.reliability import BINS, Bins, binned
from drank.models.forward import wide, window_logits
from drank.runtime.finite import NonFiniteError
from drank.runtime.log import progress
from drank.runtime.shares import WHOLE, Share

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from drank.corpora.windows import Tokens

Beside = Callable[[int, "Sequence[Tensor]"], "Iterator[Tensor]"]
"""What gives, for the number of a batch and its windows, the dense model's logits on each window, (tokens − 1, vocabulary)."""

TOGETHER = 256
"""Tokens whose logits are worked on at once: copies of those of a long window would be what an evaluation needs most memory for."""


@dataclass(frozen=True)
class WindowLosses:
    """Of each window the summed loss in nats and the number of tokens it predicts.

    As measured also `bins`, what tells their calibration (`reliability`), and `banded`, the losses by position (`positions`). Beside a
    dense model `divergence`, the sum over tokens of KL(dense ‖ model) in nats, and `agreed`, of how many tokens both hold the same
    likeliest.
    """

    loss: list[float]
    tokens: list[int]
    divergence: list[float] | None = None
    agreed: list[int] | None = None
    bins: list[Bins] | None = None
    banded: list[list[float]] | None = None

    @classmethod
    def joined(cls, parts: Iterable[WindowLosses]) -> WindowLosses:
        """The losses of the windows of all parts, one part after the other."""
        parts = list(parts)
        told: dict[str, list[Any]] = {field.name: [getattr(part, field.name) for part in parts] for field in fields(cls)}
        return cls(**{name: list(chain(*found)) for name, found in told.items() if None not in found})

    @property
    def perplexity(self) -> float:
        """exp of the mean loss per token."""
        return math.exp(math.fsum(self.loss) / sum(self.tokens))

    @property
    def window_mean(self) -> float:
        """exp of the mean over windows of their mean losses."""
        return math.exp(math.fsum(loss / count for loss, count in zip(self.loss, self.tokens, strict=True)) / len(self.loss))


def window_losses(
    model: PreTrainedModel, windows: list[Tensor], what: str, batch: int = 4, share: Share = WHOLE, beside: Beside | None = None
) -> WindowLosses:
    """The losses of windows of token ids, or of a share of them in whole batches; each window predicts all of its tokens but the first.

    Raises NonFiniteError naming the first window whose loss, or divergence, is not finite: no window is ever skipped.
    """
    import torch

    batches = batched(windows, batch)
    own = share.run(len(batches))
    first, read = sum(map(len, batches[: own.start])), [window for chunk in batches[own] for window in chunk]
    tokens = [len(window) - 1 for window in read]
    longest = max(tokens, default=0)
    sums: list[Tensor] = []
    with torch.inference_mode():
        for number, chunk in enumerate(progress(batches[own], f"perplexity of {what}, batch"), start=own.start):
            sums += _of_batch(model, torch.stack(chunk).to(model.device), beside(number, chunk) if beside else repeat(None), longest)
        found = torch.stack(sums).tolist() if sums else []  # a device is waited for once
    loss, divergence, agreed, theirs = ([window[place] for window in found] for place in range(4))
    _check(what, first, model, loss=loss, divergence=divergence, theirs=theirs)
    after = 4 + 3 * BINS
    bins = [[window[place : place + 3] for place in range(4, after, 3)] for window in found]
    by_band = [window[after : after + len(bands(count))] for window, count in zip(found, tokens, strict=True)]
    losses = WindowLosses(loss, tokens, bins=bins, banded=by_band)
    if beside is None:
        return losses
    return replace(losses, divergence=[max(0.0, one) for one in divergence], agreed=[round(one) for one in agreed])


def _of_batch(model: PreTrainedModel, ids: Tensor, dense: Iterator[Tensor | None], longest: int) -> list[Tensor]:
    """What `_sums` says of each window of a batch; of either model the logits of one window at a time are there.

    The head is run window by window, as the dense model's is: equal models lie at no distance, to the last bit.
    """
    read = zip(window_logits(model, ids), ids, strict=True)
    return [_sums(_by_token(logits, window[1:], next(dense)), longest) for logits, window in read]


def _sums(told: Tensor, longest: int) -> Tensor:
    """Of one window, out of what `_by_token` tells: four columns summed, its `Bins`, and its losses by the bands of the longest."""
    import torch

    return torch.cat([told[:, :4].sum(0), binned(told[:, 4], told[:, 5]).flatten(), banded(told[:, 0], longest)])


def _by_token(logits: Tensor, labels: Tensor, dense: Tensor | None) -> Tensor:
    """What is told of each token of a window, (tokens, 6) in float64.

    The loss, KL(dense ‖ model), whether both agree and the dense model's loss, zeros without it; the highest probability, and whether its
    token came.
    """
    import torch

    found: list[Tensor] = []
    for start in range(0, len(labels), TOGETHER):
        part = slice(start, start + TOGETHER)
        own, label = wide(logits[part]).log_softmax(-1), labels[part]
        highest, likeliest = own.max(-1)
        loss, none = -own.gather(1, label[:, None])[:, 0], torch.zeros_like(highest)
        columns = [loss, none, none, none, highest.exp(), likeliest == label]
        if dense is not None:
            target = wide(dense[part]).log_softmax(-1)
            columns[2:4] = [likeliest == target.max(-1).indices, -target.gather(1, label[:, None])[:, 0]]
            apart, share = own.neg_().add_(target), target.exp_()
            columns[1] = apart.masked_fill_(share == 0, 0).mul_(share).sum(-1)  # −∞ in both is no distance
        found.append(torch.stack([column.double() for column in columns], dim=1))
    return torch.cat(found)


def _check(what: str, first: int, model: PreTrainedModel, loss: list[float], divergence: list[float], theirs: list[float]) -> None:
    """Raise NonFiniteError for the first window, counted from `first`, of which something is not finite."""
    overflow = f"logits overflow in {model.dtype}; evaluate in float32 (`compute: dtype: float32`)"
    faults = {
        "loss": (loss, f"the model's {overflow}"),
        "dense model's loss": (theirs, f"the dense model's {overflow}"),
        "KL to dense": (divergence, "the model rules out tokens that the dense model predicts; say `perplexity: to_dense: false` for it"),
    }
    for name, (values, why) in faults.items():
        bad = next((i for i, value in enumerate(values) if not math.isfinite(value)), None)
        if bad is not None:
            raise NonFiniteError(f"the {name} of window {first + bad} of {what} is {values[bad]}: {why}")


def losses_of(
    model: PreTrainedModel,
    text: Tokens,
    length: int,
    count: int | None = None,
    batch: int = 4,
    share: Share = WHOLE,
    bos: str = "text",
    beside: Beside | None = None,
) -> WindowLosses:
    """The losses of the first `count` windows of `length` tokens of a text, or of all; of those, what is of the share.

    `bos` is the convention by which they begin (`corpora.beginnings`).
    """
    return window_losses(model, text.consecutive(length, count, bos), text.corpus, batch, share, beside)
