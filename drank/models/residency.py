"""Models of which one block at a time is in memory: the rest stays in its files until it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from drank.models.description import CheckpointError
from drank.models.experts import unfuse
from drank.models.families import blocks_of
from drank.models.weights import Checkpoint
from drank.runtime.finite import finite

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedModel


def open_skeleton(directory: str | Path, dtype: str | torch.dtype = "auto", device: str | torch.device = "cpu") -> PreTrainedModel:
    """The dense model in a directory with everything but its blocks: their parameters are on the meta device until `resident`.

    In evaluation mode, equal to what `load_model` gives; `auto` is the dtype in which it is stored. Raises CheckpointError for tensors
    that are missing, unexpected, misshapen or not finite; those of a block are looked at when it is loaded.
    """
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    state = Checkpoint(Path(directory)).other_state()
    config = AutoConfig.from_pretrained(directory)
    if dtype == "auto":
        dtype = config.dtype or next(tensor.dtype for tensor in state.values() if tensor.is_floating_point())
    with init_empty_weights(include_buffers=False):  # buffers are computed, not stored: RoPE frequencies, embedding scales
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
    unfuse(model)
    for module in model.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to(device))
    inside = {id(parameter) for block in blocks_of(model) for parameter in block.parameters()}
    missing = {name for name, parameter in model.named_parameters(remove_duplicate=False) if id(parameter) not in inside} - set(state)
    _assign(model, state, f"{directory} outside the blocks", model.dtype, device, strict=False)
    model.tie_weights(missing_keys=missing, recompute_mapping=False)  # takes the names that it ties off the missing
    if missing:
        raise CheckpointError(f"{directory} lacks {len(missing)} tensors outside the blocks: {', '.join(sorted(missing))}; fetch it again")
    return model.eval()


@contextmanager
def resident(model: PreTrainedModel, layer: int) -> Iterator[nn.Module]:
    """A decoder block with its weights on the device; those of a skeleton are read from its directory and freed at the end.

    Raises CheckpointError for tensors of the block that are missing, unexpected, misshapen or not finite.
    """
    block = blocks_of(model)[layer]
    absent = {name: parameter for name, parameter in block.named_parameters() if parameter.is_meta}
    if not absent:
        yield block
        return
    state = Checkpoint(Path(model.name_or_path)).block_state(layer)
    _assign(block, state, f"{model.name_or_path}, layer {layer}", model.dtype, model.device)
    del state
    try:
        yield block
    finally:
        block.load_state_dict(absent, strict=False, assign=True)


def _assign(
    module: nn.Module, state: Mapping[str, Tensor], where: str, dtype: torch.dtype, device: str | torch.device, strict: bool = True
) -> None:
    """Give the parameters of a module their stored values, cast to a dtype and moved to a device."""
    if bad := sorted(name for name, tensor in state.items() if not finite(tensor)):
        raise CheckpointError(f"{where}: {len(bad)} tensors are not finite: {', '.join(bad)}; fetch the model again")
    cast = {name: tensor.to(device, dtype if tensor.is_floating_point() else None) for name, tensor in state.items()}
    try:
        found = module.load_state_dict(cast, strict=strict, assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"{where}: the stored tensors do not fit config.json; fetch the model again\n{error}") from error
    if found.unexpected_keys:
        raise CheckpointError(f"{where}: the model has no place for {', '.join(sorted(found.unexpected_keys))}; fetch it again")
