"""Losses over consecutive windows of text without overlap, in float32 per token: what a model is asked for a perplexity."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from drank.runtime.finite import NonFiniteError
from drank.runtime.log import progress
from drank.runtime.shares import WHOLE, Share

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from drank.corpora.windows import Tokens


@dataclass(frozen=True)
class WindowLosses:
    """The summed loss in nats of each window and the number of tokens it predicts."""

    loss: list[float]
    tokens: list[int]

    @classmethod
    def joined(cls, parts: Iterable[WindowLosses]) -> WindowLosses:
        """The losses of the windows of all parts, one part after the other."""
        loss, tokens = zip(*((part.loss, part.tokens) for part in parts), strict=True)
        return cls(list(chain(*loss)), list(chain(*tokens)))

    @property
    def perplexity(self) -> float:
        """exp of the mean loss per token."""
        return math.exp(math.fsum(self.loss) / sum(self.tokens))

    @property
    def window_mean(self) -> float:
        """exp of the mean over windows of their mean losses."""
        return math.exp(math.fsum(loss / count for loss, count in zip(self.loss, self.tokens, strict=True)) / len(self.loss))


def window_losses(model: PreTrainedModel, windows: list[Tensor], what: str, batch: int = 4, share: Share = WHOLE) -> WindowLosses:
    """The losses of windows of token ids, or of a share of them in whole batches; each window predicts all of its tokens but the first.

    Raises NonFiniteError naming the first window whose loss is not finite: no window is ever skipped.
    """
    import torch

    batches = _batches(windows, batch)
    own = share.run(len(batches))
    first, read = sum(map(len, batches[: own.start])), [window for chunk in batches[own] for window in chunk]
    losses: list[float] = []
    with torch.inference_mode():
        for chunk in progress(batches[own], f"perplexity of {what}, batch"):
            ids = torch.stack(chunk).to(model.device)
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
            nll = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
            losses += nll.view(len(chunk), -1).double().sum(1).tolist()
    bad = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
    if bad is not None:
        raise NonFiniteError(
            f"the loss of window {first + bad} of {what} is {losses[bad]}: the model's logits overflow in {model.dtype}; "
            "evaluate in float32 (`compute: dtype: float32`)"
        )
    return WindowLosses(losses, [len(window) - 1 for window in read])


def _batches(windows: list[Tensor], batch: int) -> list[list[Tensor]]:
    """The windows in order, as many as are read at once, all of one length."""
    batches: list[list[Tensor]] = []
    for window in windows:
        if batches and len(batches[-1]) < batch and len(batches[-1][0]) == len(window):
            batches[-1].append(window)
        else:
            batches.append([window])
    return batches


def losses_of(
    model: PreTrainedModel, text: Tokens, length: int, count: int | None = None, batch: int = 4, share: Share = WHOLE, bos: str = "text"
) -> WindowLosses:
    """The losses of the first `count` windows of `length` tokens of a text, or of all; of those, what is of the share.

    `bos` is the convention by which they begin (`corpora.beginnings`).
    """
    return window_losses(model, text.consecutive(length, count, bos), text.corpus, batch, share)
