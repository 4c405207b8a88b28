"""Decoding as one graph: a token for each sequence on a static cache, compiled whole by `torch.compile`."""

from __future__ import annotations

import functools
import inspect
import types
from typing import TYPE_CHECKING, Any

from drank.models.families import FAMILIES

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SHAPES = 64
"""Batch sizes and cache lengths that one model may be compiled for before that is an error."""


def not_compiled(model: PreTrainedModel) -> str | None:
    """Why decoding of this model cannot be one graph, None where it can."""
    import torch
    from transformers import StaticCache

    if "isolate_recompiles" not in inspect.signature(torch.compile).parameters:
        return f"torch {torch.__version__} counts the graphs of all models together, up to eight; 2.13 counts those of each"
    family = FAMILIES.get(model.config.model_type)
    if family and family.mixture:
        return "which experts run hangs on the token"
    if any(getattr(layer, "is_sliding", False) for layer in StaticCache(model.config, max_cache_len=2).layers):
        return "transformers counts the tokens of a sliding window in Python, so that every token would be another graph"
    return None


def compile_decoding(model: PreTrainedModel, *, prepack: bool = False) -> None:
    """Let a model run one token for each sequence, on a cache of fixed size, as one compiled graph, and everything else as before.

    `generate` takes such a cache from now on. The graph is whole or there is an error, for part of a model that falls back to Python runs
    slower than one that was never compiled. On CUDA it is captured as a CUDA graph; on a CPU `prepack` has inductor freeze the weights into
    it, in the layout that its products read best, beside those that prefill reads.
    """
    import torch

    own = type(model).forward
    cuda = model.device.type == "cuda"
    options: dict[str, Any] = {"triton.cudagraphs": True} if cuda else {"freezing": True} if prepack else {}
    apart: dict[str, Any] = {"recompile_limit": SHAPES, "isolate_recompiles": True}
    step: Any = torch.compile(own, dynamic=False, fullgraph=True, options=options, **apart)

    @functools.wraps(own)
    def forward(self: PreTrainedModel, *args: Any, **inputs: Any) -> Any:
        ids = inputs.get("input_ids")
        cache = inputs.get("past_key_values")
        whole = not args and ids is not None and ids.shape[1] == 1 and getattr(cache, "is_compileable", False)
        watched = torch.is_grad_enabled() or torch._C._len_torch_dispatch_stack()  # by what a graph hides its operations from
        return step(self, **inputs) if whole and not watched else own(self, *args, **inputs)

    model.forward = types.MethodType(forward, model)  # of a copy it is the copy's
    if model.generation_config is not None:
        model.generation_config.cache_implementation = "static"
        model.generation_config.disable_compile = True  # or generate compiles what is compiled
