"""How a model is run while it is timed: as it is loaded, or in a form that computes the same faster; and what its numbers are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TRANSFORMERS, VLLM = "transformers", "vllm"
"""What runs models: drank's modules in this process, or vLLM with drank's plug-in, in processes of its own."""

PLAIN = "plain"
"""The variant that is the model as the engine runs it by itself, whose names are those without a variant."""


def labelled(name: str, variant: str) -> str:
    """What a model, a phase or another data set is called in a variant: `decode`, and `decode-compiled`."""
    return name if variant == PLAIN else f"{name}-{variant}"


def prepared(model: PreTrainedModel, variant: str) -> PreTrainedModel:
    """A loaded model, changed to run in a variant."""
    from drank.models.execution.optimize import optimize

    return optimize(model, variant)
