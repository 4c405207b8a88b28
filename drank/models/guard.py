"""What keeps a compressed checkpoint from being read without drank, where the dense model would come up with random weights.

A program without drank ignores the description of the low-rank modules, builds dense ones and lacks their weights. Three things stop it,
and the name of the method in that description (`QUANT_METHOD`), which many programs print as unknown, says what to do too:

- The seal, in config.json. `PreTrainedModel.from_pretrained` of every transformers since 4.56 takes the entry `transformers_weights` for
  the file that holds the weights, and raises an error that cites it where that is no safetensors file. Here it is a sentence. It holds
  whatever the arguments are, `ignore_mismatched_sizes` among them; `DrankQuantizer` takes it off before transformers looks.
- The guard, a tensor that every low-rank module stores under the name of the dense weight, in a shape that no weight has. It stops what
  does not read config.json: `load_state_dict`, strict or not, safetensors, accelerate, transformers with another model's configuration.
- The notice, an empty tensor of the whole model whose name is the sentence. It stops nothing that the guard does not, but the errors and
  reports of those programs list the names of tensors that they did not expect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drank.models.description import is_compressed

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

MESSAGE = "this model was compressed by drank and cannot be read without it: pip install drank, then import drank before loading"
"""What a user without drank is to read, in the seal and in the notice; without a dot, for it names a tensor."""

_SEALED = "transformers_weights"
"""The entry of config.json that holds the seal."""

_WEIGHT_FILES = (".safetensors", ".safetensors.index.json")
"""How what else may stand in that entry ends."""


def sealed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The dictionary of config.json with the seal where the model is compressed, as it is where it is not."""
    return {**config, _SEALED: MESSAGE} if is_compressed(config.get("quantization_config")) else dict(config)


def unseal(config: Any) -> None:
    """Take the seal, whatever version of drank wrote it, off the configuration of a model that is about to be loaded."""
    if not str(getattr(config, _SEALED, _WEIGHT_FILES[0])).endswith(_WEIGHT_FILES):
        delattr(config, _SEALED)


def guard(dtype: torch.dtype, device: str | torch.device) -> Tensor:
    """What a low-rank module stores as `weight`: no element at all, in the dtype and on the device of its factors."""
    import torch

    return torch.empty(0, dtype=dtype, device=device)


def put_notice(model: nn.Module) -> None:
    """Give a model with low-rank modules the notice, which its state dict then has; a second call changes nothing.

    Checkpoints of before there was a notice are whole without.
    """
    first = next(model.parameters())
    model.register_buffer(MESSAGE, guard(first.dtype, first.device))
    ignored: Any = getattr(model, "_keys_to_ignore_on_load_missing", None)
    model._keys_to_ignore_on_load_missing = {*(ignored or ()), re.escape(MESSAGE)}  # type: ignore[assignment]
