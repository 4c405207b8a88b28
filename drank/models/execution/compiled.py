"""Decoding as one graph: a token for each sequence on a static cache, compiled whole by `torch.compile`."""

from __future__ import annotations

import functools
import inspect
import itertools
import types
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drank.models.description import quantised_by
from drank.models.families import FAMILIES

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PREPACKED = "prepacked"
"""The variant whose weights are packed for the processor, too."""

COMPILED = ("compiled", PREPACKED)
"""The variants that compile decoding."""

MIXTURE = "which experts run hangs on the token"
SLIDING = "transformers counts the tokens of a sliding window in Python, so that every token would be another graph"
PACKED = "what packed its weights unpacks them in Python"
"""Why the decoding of some models cannot be one graph."""

OUTSIDE = "a compiled model decodes as its graph only without gradients: call it within torch.inference_mode()"
"""What a token that is decoded outside the graph is told by."""

SHAPES = 64
"""Batch sizes and cache lengths that one model may be compiled for before that is an error."""


def said_not_compiled(config: Mapping[str, Any]) -> str | None:
    """What of `not_compiled` a configuration says by itself, as it lies in a directory; None where it says nothing."""
    family = FAMILIES.get(config["model_type"])
    if quantised_by(config):
        return PACKED
    if family and family.mixture:
        return MIXTURE
    if kinds := config.get("layer_types"):
        return SLIDING if any(kind.startswith(("sliding", "chunked")) for kind in kinds) else None
    asked = config["model_type"].startswith("qwen")  # whose windows slide where that is asked for, and from a layer on
    slides = config.get("sliding_window") and config.get("use_sliding_window", not asked)
    return SLIDING if slides and (not asked or config.get("max_window_layers", 28) < config["num_hidden_layers"]) else None


def not_compiled(model: PreTrainedModel) -> str | None:
    """Why decoding of this model cannot be one graph, None where it can."""
    import torch
    from transformers import StaticCache

    if "isolate_recompiles" not in inspect.signature(torch.compile).parameters:
        return f"torch {torch.__version__} counts the graphs of all models together, up to eight; 2.13 counts those of each"
    family = FAMILIES.get(model.config.model_type)
    if quantised_by(model.config.to_dict()):
        return PACKED
    if family and family.mixture:
        return MIXTURE
    if any(getattr(layer, "is_sliding", False) for layer in StaticCache(model.config, max_cache_len=2).layers):
        return SLIDING
    return None


def not_prepacked(device: str) -> str | None:
    """Why weights are not packed for a device, as `cuda:1`; None where they are."""
    gpu = device.startswith("cuda")
    return "a GPU has no layout of its own to pack weights into, so that it would be compiled by another name" if gpu else None


def compile_decoding(model: PreTrainedModel, *, prepack: bool = False) -> None:
    """Let a model run one token for each sequence, on a cache of fixed size, as one compiled graph, and everything else as before.

    `generate` takes such a cache from now on. The graph is whole or there is an error, for part of a model that falls back to Python runs
    slower than one that was never compiled. On CUDA it is captured as a CUDA graph; elsewhere `prepack` has inductor freeze the weights
    into it, in the layout that its products read best, beside those that prefill reads.
    """
    import torch

    own = type(model).forward
    options: dict[str, Any] = {"triton.cudagraphs": True} if model.device.type == "cuda" else {}
    apart: dict[str, Any] = {"recompile_limit": SHAPES, "isolate_recompiles": True}
    compiled: Any = torch.compile(own, dynamic=False, fullgraph=True, options=options, **apart)
    step = _frozen(compiled) if prepack else compiled

    names = list(inspect.signature(own).parameters)[1:]

    @functools.wraps(own)
    def forward(self: PreTrainedModel, *args: Any, **named: Any) -> Any:
        inputs = dict(zip(names, args, strict=False)) | named
        ids = inputs.get("input_ids")
        cache: Any = inputs.get("past_key_values")
        fixed = getattr(cache, "is_compileable", False) and cache.is_initialized  # by a prompt, which one token can be
        whole = ids is not None and ids.shape[1] == 1 and fixed
        if whole and torch.is_grad_enabled():
            warnings.warn(OUTSIDE, stacklevel=2)
        watched = torch.is_grad_enabled() or torch._C._len_torch_dispatch_stack()  # by what a graph hides its operations from
        return step(self, **inputs) if whole and not watched else own(self, *args, **named)

    model.forward = types.MethodType(forward, model)  # of a copy it is the copy's
    if model.generation_config is not None:
        model.generation_config.cache_implementation = "static"
        model.generation_config.disable_compile = True  # or generate compiles what is compiled


def _frozen(compiled: Any) -> Any:
    """A compiled step with the weights as constants of its graph, which inductor packs.

    Dynamo decides that by the global setting as it traces, not by what torch.compile is given. It takes the tensors of a cache of fixed
    size for constants as well, since transformers marks their addresses as those of every step: the next cache of that size would not be
    read. So the mark goes.
    """
    import torch
    from torch._inductor import config

    def step(model: PreTrainedModel, **inputs: Any) -> Any:
        for tensor in itertools.chain.from_iterable(vars(layer).values() for layer in inputs["past_key_values"].layers):
            if isinstance(tensor, torch.Tensor):
                vars(tensor).pop("_dynamo_static_input_type", None)
        with config.patch(freezing=True):
            return compiled(model, **inputs)

    return step
