"""Decoding as one graph: a token for each sequence on a static cache, compiled whole by `torch.compile`."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel


SHAPES = 64
"""Batch sizes and cache lengths that one model may be compiled for before that is an error."""


def can_compile() -> bool:
    """Whether this torch counts the graphs of each model apart; an older one has eight for all models of a process."""
    import torch

    return "isolate_recompiles" in inspect.signature(torch.compile).parameters


def compile_decoding(model: PreTrainedModel, *, prepack: bool = False) -> None:
    """Let a model run one token for each sequence, on a cache of fixed size, as one compiled graph, and everything else as before.

    `generate` takes such a cache from now on. The graph is whole or there is an error, for part of a model that falls back to Python runs
    slower than one that was never compiled. On CUDA it is captured as a CUDA graph; on a CPU `prepack` has inductor freeze the weights into
    it, in the layout that its products read best, beside those that prefill reads.
    """
    import torch

    own = model.forward
    cuda = model.device.type == "cuda"
    options: dict[str, Any] = {"triton.cudagraphs": True} if cuda else {"freezing": True} if prepack else {}
    apart: dict[str, Any] = {"recompile_limit": SHAPES, "isolate_recompiles": True}
    step = torch.compile(own, dynamic=False, fullgraph=True, options=options, **apart)

    @functools.wraps(own)
    def forward(*args: Any, **inputs: Any) -> Any:
        ids = inputs.get("input_ids")
        cache = inputs.get("past_key_values")
        whole = not args and ids is not None and ids.shape[1] == 1 and getattr(cache, "is_compileable", False)
        watched = torch.is_grad_enabled() or torch._C._len_torch_dispatch_stack()  # by what a graph hides its operations from
        return step(**inputs) if whole and not watched else own(*args, **inputs)

    model.forward = forward
    if model.generation_config is not None:
        model.generation_config.cache_implementation = "static"
        model.generation_config.disable_compile = True  # or generate compiles what is compiled
