"""How a model is run while it is timed: as it is loaded, or in a form that computes the same faster; and what its numbers are called."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PLAIN = "plain"
"""The variant that is the model as transformers runs it, whose names are those without a variant."""


def labelled(name: str, variant: str) -> str:
    """What a model, a phase or another data set is called in a variant: `decode`, and `decode-compiled`."""
    return name if variant == PLAIN else f"{name}-{variant}"


def prepared(model: PreTrainedModel, variant: str) -> Any:
    """A loaded model in a variant, which is called as the model is and may have taken its place."""
    if variant == PLAIN:
        return model
    return importlib.import_module("drank.models.execution").optimize(model, variant)
