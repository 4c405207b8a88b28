"""Models without weights, and weights drawn at random for them: written shard by shard, so that no more than one is in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.models.tensors import INDEX, WEIGHTS, stored_name
from drank.runtime.files import share_mode, write_json

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

MARK = "random_weights"
"""The entry of config.json that says that the weights beside it were drawn; its value tells the seed."""

SEED = 13

SHARD = 1 << 27
"""Bytes of a file of weights, and so of what is in memory of them; a tensor that is larger has a file of its own."""

CHUNK = 1 << 22
"""Numbers drawn at once, in float32."""

SPREAD = 0.02
"""The standard deviation of the entries of a matrix where its configuration does not say (`initializer_range`)."""


def is_random(config: Mapping[str, Any]) -> bool:
    """Whether a config.json says that the weights beside it were drawn at random."""
    return MARK in config


def empty_model(config: PreTrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    """A model on the meta device, which has shapes and no weights, in evaluation mode; experts are unfused, as drank loads them."""
    import torch
    from transformers import AutoModelForCausalLM

    from drank.models.experts import unfuse

    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return unfuse(model.eval())


def write_random(model: PreTrainedModel, directory: Path) -> None:
    """Write an empty model, dense or of low-rank modules, into a folder that is there, with weights drawn at random.

    Each tensor is drawn by its name from one seed, so that what two models have in common is the same in both, and in every run. Entries
    of matrices have the standard deviation of the configuration, and so have those of a product of factors; norms are 1, biases 0.
    """
    from safetensors.torch import save_file

    model.config.architectures = [type(model).__name__]
    model.config.dtype = model.dtype
    setattr(model.config, MARK, {"seed": SEED})
    model.config.save_pretrained(directory)
    if model.generation_config is not None:
        model.generation_config.save_pretrained(directory)
    inputs, spread = _inputs(model), getattr(model.config, "initializer_range", None) or SPREAD
    shards = list(_shards(_tensors(model)))
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        file = WEIGHTS if len(shards) == 1 else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        names = {name: stored_name(model.config.model_type, name) for name in shard}
        drawn = {names[name]: _drawn(name, like, spread, inputs.get(name, 0)) for name, like in shard.items()}
        save_file(drawn, directory / file, metadata={"format": "pt"})
        places |= dict.fromkeys(drawn, file)
    if len(shards) > 1:
        total = sum(like.nbytes for shard in shards for like in shard.values())
        write_json(directory / INDEX, {"metadata": {"total_size": total}, "weight_map": places})
    share_mode(directory.glob("*.safetensors"), directory / "config.json")


def _tensors(model: PreTrainedModel) -> dict[str, Tensor]:
    """What files hold of a model, by name: a tensor that has two, as a tied output layer has, by its first."""
    found: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        found.setdefault(id(tensor), (name, tensor))
    return dict(found.values())


def _shards(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The tensors in their order, so many together as a file may hold."""
    shard: dict[str, Tensor] = {}
    size = 0
    for name, tensor in tensors.items():
        if shard and size + tensor.nbytes > SHARD:
            yield shard
            shard, size = {}, 0
        shard[name], size = tensor, size + tensor.nbytes
    if shard:
        yield shard


def _inputs(model: PreTrainedModel) -> dict[str, int]:
    """The number of inputs of which each tensor of pivots names some, by its name."""
    from drank.models.lowrank import PivotedLinear

    modules = ((path, module) for path, module in model.named_modules() if isinstance(module, PivotedLinear) and module.owns_basis)
    return {f"{path}.pivots": module.in_features for path, module in modules}


def _drawn(name: str, like: Tensor, spread: float, inputs: int) -> Tensor:
    """The values of a tensor of this name, in the shape and dtype of another; `inputs` are those that pivots are chosen from."""
    import numpy as np
    import torch

    draw = np.random.Generator(np.random.SFC64([SEED, *name.encode()]))  # its numbers are the same on every machine
    if not like.is_floating_point():
        return torch.from_numpy(np.sort(draw.permutation(inputs)[: like.numel()])).to(like.dtype)
    values = torch.empty(like.shape, dtype=like.dtype)
    if like.ndim < 2:
        return values.fill_(0 if name.endswith("bias") else 1)
    # A basis is (k, d1), and the sum of k products has the spread of one factor if the other has that of 1 / √k.
    width = 12**0.5 * (len(like) ** -0.5 if name.endswith(".basis.weight") else spread)
    for part in values.view(-1).split(CHUNK):
        part.copy_(torch.from_numpy(draw.random(len(part), dtype=np.float32)).sub_(0.5).mul_(width))
    return values
