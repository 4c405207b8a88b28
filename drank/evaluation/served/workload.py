"""What a model in a directory is asked for where an engine of its own runs it, and what that asks of a machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from drank.evaluation.generation import decode, prefill, prompts
from drank.evaluation.throughput import check_sizes
from drank.models.checkpoint import load_model
from drank.models.description import quantised_by
from drank.models.families import context_of
from drank.models.serving.places import refuse_left_out
from drank.runtime.files import read_json

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

BLOCK, TWICE = 256, 2
"""Tokens that the last block of a prompt may hold in vain, and how much more room than that there is: layers are rounded up to groups."""


class Workload:
    """The prompts of the model in a directory, and what they and the tokens after them ask of a machine.

    Its weights are nowhere in memory, but where another quantiser packed them, which counts only what is there, and where what runs hangs
    on values, such as the experts of a mixture: then no longer than this.

    Attributes: `ids`, the prompts, (batch, prompt); `read` and `written`, the operations of the prefill and of a step of decoding;
    `weights`, the bytes that a step reads; `cache`, those of keys and values at the end; `room`, those that an engine has for them.
    """

    ids: Tensor

    def __init__(self, directory: Path, sizes: Mapping[str, int], first: int | None, dtype: str) -> None:
        """Count the work; `sizes` are `batch`, `prompt` and `generate`; `first` is the token that begins every prompt, where one does.

        Raises ValueError for sizes that the model does not have, CheckpointError for a model that is not whole, and what
        `refuse_left_out` does.
        """
        refuse_left_out(directory)
        self.directory, self.generate = directory, sizes["generate"]
        packed = quantised_by(read_json(directory / "config.json"))
        try:
            self._count(load_model(directory, dtype, "cpu" if packed else "meta"), sizes, first)
        except RuntimeError:  # of a value that is nowhere
            if packed:
                raise
            self._count(load_model(directory, dtype, "cpu"), sizes, first)

    def _count(self, model: PreTrainedModel, sizes: Mapping[str, int], first: int | None) -> None:
        import torch

        from drank.evaluation.operations import operations_of
        from drank.evaluation.tensor_memory import cache_bytes, weight_bytes

        batch, prompt, generate = (sizes[name] for name in ("batch", "prompt", "generate"))
        check_sizes(context_of(model.config.get_text_config()), batch=batch, prompt=prompt, generate=generate + 1)  # vLLM counts the last
        self.ids = prompts(model, batch, prompt, 0, first)
        self.weights = weight_bytes(model)  # as they are packed, for so vLLM reads them; transformers unpacks some when they are asked
        with torch.inference_mode():
            self.read, state = operations_of(lambda: prefill(model, self.ids.to(model.device), generate))
            self.written, state = operations_of(lambda: decode(model, state, 1))
            last = decode(model, state, generate - 1)
            token = prefill(model, self.ids[:1, :1].to(model.device), 1)
        self.cache = cache_bytes(last.past_key_values)
        # of all layers: while vLLM reads a prompt, those that look back no further than a window hold it whole
        self.room = TWICE * batch * (prompt + generate + 1 + BLOCK) * cache_bytes(token.past_key_values)
