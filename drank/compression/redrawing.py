"""The text of a correction: the calibration text with some of its tokens drawn anew, so that no pass reads what another has read.

Passes over one text fit that text. What the dense model predicts of any text is a label, so theirs need not be the same each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from drank.calibration.backward import logits_of
from drank.calibration.losses import drawn, generator_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

SHARE = 0.3
"""The share of tokens that are drawn anew."""


def redrawn(model: PreTrainedModel, windows: Tensor, reference: Sequence[Tensor], seed: int) -> Tensor:
    """The windows, (windows, tokens), with `SHARE` of their tokens, but the first of each, replaced by draws from what is predicted there.

    Predicted from the tokens before as they were, by the head of `model` from `reference`: for each window what leaves the dense model's
    last block, (tokens, d). So all of a window's draws come from one pass of the dense model.
    """
    import torch

    result = windows.clone()
    with torch.no_grad():
        for number, (ids, states) in enumerate(zip(windows, reference, strict=True)):
            generator = generator_of(seed, number)
            chosen = torch.rand(len(ids) - 1, generator=generator) < SHARE
            logits = logits_of(model, states[None].to(model.device), ids[None])[0][chosen.to(model.device)]
            result[number, 1:][chosen.to(ids.device)] = drawn(logits, generator).to(ids)
    return result
