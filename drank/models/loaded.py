"""What can be wrong with a model as transformers loads it: tensors that do not fit, values that are none, a quantiser that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from drank.models.description import CheckpointError
from drank.models.tensors import OBSOLETE

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

PACKAGES = {"bitsandbytes": "bitsandbytes", "gptq": "gptqmodel", "awq": "gptqmodel", "quanto": "optimum-quanto", "quark": "amd-quark"}
"""What to install for a quantiser whose package is called otherwise than its `quant_method`."""


def unloadable(directory: Path, quantiser: str | None, error: Exception) -> CheckpointError:
    """What to raise where transformers builds no model: what to install for a quantised one that lacks a package, else its own words."""
    if quantiser is None or not isinstance(error, ImportError):
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return CheckpointError(
            f"transformers cannot build the model that {directory / 'config.json'} describes ({said}); correct what it names there or in "
            "generation_config.json, or fetch the model again"
        )
    package = PACKAGES.get(quantiser, quantiser)
    return CheckpointError(
        f"{directory} is quantised by {quantiser}, which needs a package that is not installed here: `pip install {package}` into the "
        f"environment that evaluates (transformers says: {error})"
    )


def refuse_bad(directory: Path, model: PreTrainedModel, info: dict[str, Any], quantiser: str | None = None) -> None:
    """Raise CheckpointError with every tensor that is missing, unexpected, misshapen or not finite; on the meta device none has values.

    Quantised models may store more than their modules hold, such as shapes of what is packed.
    """
    unexpected = [] if quantiser else [name for name in info["unexpected_keys"] if not name.endswith(OBSOLETE)]
    found = {
        "missing": sorted(info["missing_keys"]),
        "unexpected": sorted(unexpected),
        "of another shape": [f"{name} {tuple(stored)} for {tuple(built)}" for name, stored, built in sorted(info["mismatched_keys"])],
        "not finite": [name for name, value in _floating(model) if not torch.isfinite(value).all()],
    }
    if any(found.values()):
        lines = [f"{len(names)} tensors {kind}: {', '.join(names)}" for kind, names in found.items() if names]
        raise CheckpointError(f"{directory} is not a whole model; rerun `compress`, or fetch it again:\n  " + "\n  ".join(lines))


def _floating(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """The tensors of ordinary floating numbers by name; packed ones are of other classes, or of eight bits, and cannot be asked."""
    for name, value in model.state_dict().items():
        ordinary = type(value) in (torch.Tensor, torch.nn.Parameter) and value.is_floating_point() and value.element_size() > 1
        if ordinary and not value.is_meta:
            yield name, value
