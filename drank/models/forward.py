"""Forward passes through parts of a model: its blocks replaced, watched, or left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from drank.models.families import UnknownFamilyError, blocks_of

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


@contextmanager
def forwards(blocks: Iterable[nn.Module], forward: Callable[..., Any]) -> Iterator[None]:
    """Blocks that compute `forward` instead of what they are, until the context ends; their attributes stay."""
    blocks = list(blocks)
    own = [vars(block).get("forward") for block in blocks]
    try:
        for block in blocks:
            vars(block)["forward"] = forward
        yield
    finally:
        for block, before in zip(blocks, own, strict=True):
            if before is None:
                vars(block).pop("forward", None)
            else:
                vars(block)["forward"] = before


@contextmanager
def removed(handles: Iterable[Any]) -> Iterator[None]:
    """Hooks that are removed when the context ends, however it ends."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Left(Exception):
    """Ends a forward pass at the last block: the head would compute in vain."""


def leaving(model: PreTrainedModel, ids: Tensor) -> Tensor:
    """The hidden states that leave the last block, (windows, tokens, d): what `logits_of` takes; the head is not run."""
    found: list[Tensor] = []

    def stop(_block: nn.Module, _args: Any, output: Any) -> None:
        found.append(output[0] if isinstance(output, tuple) else output)
        raise _Left

    with removed([blocks_of(model)[-1].register_forward_hook(stop)]), suppress(_Left):
        model(input_ids=ids, use_cache=False)
    return found.pop()


def logits_of(model: PreTrainedModel, states: Tensor, ids: Tensor) -> Tensor:
    """Logits (windows, tokens − 1, vocabulary) from the hidden states that leave the last block, (windows, tokens, d); `wide`."""
    return wide(own_logits_of(model, states, ids))


def own_logits_of(model: PreTrainedModel, states: Tensor, ids: Tensor) -> Tensor:
    """The same in the model's own precision.

    What follows the blocks is the model's own: every block is replaced by one that gives `states`. A mixture is not asked for its routers'
    logits, whatever its configuration says: no router has run.
    """
    routers = {"output_router_logits": False} if hasattr(model.config, "output_router_logits") else {}
    with forwards(blocks_of(model), lambda *_args, **_kwargs: states):
        logits: Tensor = model(input_ids=ids.to(states.device), use_cache=False, **routers).logits
    return logits[:, :-1]


def window_logits(model: PreTrainedModel, ids: Tensor) -> Iterator[Tensor]:
    """Of each window of a batch (windows, tokens) its logits (tokens − 1, vocabulary) in the model's own precision, one at a time.

    A model of any family is read; of one whose blocks drank does not know those of the batch are there at once.
    """
    try:
        blocks_of(model)
    except UnknownFamilyError:
        yield from model(input_ids=ids, use_cache=False).logits[:, :-1]
        return
    for states, window in zip(leaving(model, ids).split(1), ids.split(1), strict=True):
        yield own_logits_of(model, states, window)[0]


def wide(values: Tensor) -> Tensor:
    """Values in float32, or in float64 where they are."""
    import torch

    return values.to(torch.promote_types(values.dtype, torch.float32))
