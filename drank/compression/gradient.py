"""The gradient of the divergence from the dense model over a few windows of text."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from drank.calibration.backward import recomputed
from drank.calibration.losses import divergence
from drank.models.families import projections_of
from drank.models.forward import logits_of, wide
from drank.models.lowrank import sides_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

TOKENS_AT_ONCE = 2048
"""Tokens that are run at a time, or one window."""

TOKENS_ON_A_CPU = 512
"""The same on a CPU, which is slower where logits of more are alive (`benchmarks/corrections.py`)."""

KEPT = 2**30
"""Bytes of what projections read and give, at most, that a pass keeps for its way back; of larger models every block is run again."""


def at_once(model: PreTrainedModel, windows: Tensor, batch: int) -> int:
    """The windows that are run at a time: a batch of them, or fewer where these are long."""
    tokens = TOKENS_ON_A_CPU if model.device.type == "cpu" else TOKENS_AT_ONCE
    return max(1, min(batch, tokens // windows.shape[1]))


def keeps(model: PreTrainedModel, tokens: int) -> bool:
    """Whether a pass over so many tokens keeps what is inside the blocks: little, and no matrix of weights of attention."""
    return model.config._attn_implementation != "eager" and read_and_given(model, tokens) <= KEPT


def read_and_given(model: PreTrainedModel, tokens: int) -> int:
    """The bytes of what the projections of a model read and give in a pass over so many tokens, all experts counted."""
    return tokens * model.dtype.itemsize * sum(sum(sides_of(module)) for _, _, module in projections_of(model))


def leave_gradients(model: PreTrainedModel, windows: Tensor, reference: Sequence[Tensor], chosen: Sequence[int], batch: int) -> float:
    """The mean divergence per predicted token of the chosen windows; the gradients of their sum were added to those of the parameters.

    Steps do not depend on the scale of a gradient, and that of a mean is too small for float16.
    """
    import torch

    losses: list[Tensor] = []  # a device is waited for once
    size = at_once(model, windows, batch)
    with nullcontext() if keeps(model, size * windows.shape[1]) else recomputed(model):
        for part in (chosen[first : first + size] for first in range(0, len(chosen), size)):
            ids = windows[part].to(model.device)
            with torch.no_grad():
                wanted = logits_of(model, torch.stack([reference[window] for window in part]).to(model.device), ids)
            loss = divergence(wanted, wide(model(input_ids=ids, use_cache=False).logits[:, :-1])).sum()
            loss.backward()
            losses.append(loss.detach().double())
    return torch.stack(losses).sum().item() / (len(chosen) * (windows.shape[1] - 1))
