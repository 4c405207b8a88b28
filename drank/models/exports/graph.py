"""A causal language model as an ONNX graph: a step that reads tokens and the keys and values of those before, and gives logits and more."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from drank.models.experts import Experts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

OPSET = 20
"""The version of ONNX's operators: torch's exporter writes it without converting, and ONNX Runtime reads it since 1.17."""

Pairs = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, (batch, heads, tokens, width of a head)."""

BATCH, NEW, PAST, ALL = "batch_size", "sequence_length", "past_sequence_length", "total_sequence_length"
"""What dimensions that are free are called."""


class Step(nn.Module):
    """A step of a model whose whole state is in its arguments: the cache comes in and goes out as plain tensors."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Run this model, which stays as it is."""
        super().__init__()
        self.model = model
        self.train(model.training)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, past: Pairs) -> tuple[Tensor, Pairs]:
        """Logits (batch, new, vocabulary), and keys and values of all tokens so far.

        Every layer keeps all tokens, one with a sliding window too, whose mask leaves the old ones out.
        """
        cache = DynamicCache()
        for layer, (key, value) in enumerate(past):
            cache.update(key, value, layer)
        done = self.model(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, past_key_values=cache, use_cache=True
        )
        return done.logits, [(layer.keys, layer.values) for layer in done.past_key_values.layers]


def names_of(layers: int) -> tuple[list[str], list[str]]:
    """The names of inputs and outputs in order: those that Hugging Face's optimum writes, and ONNX Runtime GenAI expects by default."""
    inputs = ["input_ids", "attention_mask", "position_ids"]
    inputs += [f"past_key_values.{layer}.{part}" for layer in range(layers) for part in ("key", "value")]
    return inputs, ["logits", *(f"present.{layer}.{part}" for layer in range(layers) for part in ("key", "value"))]


def traced(model: PreTrainedModel, past: Pairs) -> Any:
    """The ONNX program of a model, batch and lengths free; `past` has keys and values of some tokens of two sequences, as an example.

    Raises what torch's exporter raises where it cannot follow the model.
    """
    step = Step(model)
    tokens = past[0][0].shape[2]
    example = (torch.zeros(2, 3, dtype=torch.long), torch.ones(2, tokens + 3, dtype=torch.long))
    positions = torch.arange(tokens, tokens + 3).expand(2, 3).contiguous()
    inputs, outputs = names_of(len(past))
    kept = {0: BATCH, 2: PAST}
    free = ({0: BATCH, 1: NEW}, {0: BATCH, 1: ALL}, {0: BATCH, 1: NEW}, [(kept, kept) for _ in past])
    with torch.no_grad(), _every_expert(model), _quiet():
        program = torch.onnx.export(
            step,
            (*example, positions, past),
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            dynamic_shapes=free,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch's exporter gave no program")
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # lines and paths of the code that was followed, several times what the graph is
    return program


def example_of(model: PreTrainedModel) -> Pairs:
    """Keys and values that a model makes of two short sequences."""
    with torch.no_grad():
        done = model(torch.arange(8).view(2, 4) % model.config.vocab_size, past_key_values=DynamicCache(), use_cache=True)
    return [(layer.keys, layer.values) for layer in done.past_key_values.layers]


@contextlib.contextmanager
def _every_expert(model: nn.Module) -> Iterator[None]:
    """Let mixtures run every expert on the tokens that it is given, none perhaps: a graph cannot leave out what hangs on the tokens."""
    mixtures = [module for module in model.modules() if isinstance(module, Experts)]
    try:
        for module in mixtures:
            vars(module)["forward"] = partial(_all_of, module)
        yield
    finally:
        for module in mixtures:
            vars(module).pop("forward", None)


def _all_of(experts: Experts, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """What `Experts.forward` gives."""
    result = torch.zeros_like(hidden_states)
    for number, expert in enumerate(experts):
        tokens, choices = torch.where(top_k_index == number)
        output = expert(hidden_states[tokens]) * top_k_weights[tokens, choices, None]
        result = result.index_add(0, tokens, output.to(result.dtype))
    return result


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what the exporter says of its own progress."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
