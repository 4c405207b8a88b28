"""Make a loaded model quick to run: the same function to the rounding of its precision, in fewer and larger products.

A low-rank projection multiplies as many numbers for a token as it reads, in prefill and in decoding alike: with two factors of rank k these
are k (d1 + d2), in pivoted form k (d1 + d2 − k), against d1 d2 of the matrix. So one count decides for both phases which form runs. Two
factors have as many as the matrix from k = d1 d2 / (d1 + d2) on, which a basis that several layers share reaches before it has more to
store; a pivoted form has from k = min(d1, d2) on, past which the rank goes where several narrow projections share a basis.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from drank.models.execution.compiled import COMPILED, PREPACKED, compile_decoding, not_compiled, not_prepacked
from drank.models.execution.fusing import Fusing
from drank.models.execution.packing import pack
from drank.models.execution.product import Product, quicken
from drank.models.lowrank import LowRankLinear
from drank.models.tensor_bytes import held

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FUSED = "fused"
"""The variant that any program can call."""

VARIANTS = ("plain", FUSED, *COMPILED)
"""How a model can be run: as it was loaded; in larger products; these with decoding compiled; and its weights packed for that, too."""


@dataclass
class Execution:
    """How a model is run: its variant, and by dotted name what runs otherwise than it was loaded.

    `joined` are projections whose bases run as one product or by one gather, a tuple for each; `dense` those that run as a matrix, with
    fewer numbers to multiply and to read; `folded` those whose inputs come in the order of their pivots. `wide`: products of many rows are
    in float32. `packed`: how many products read a weight in the processor's layout. `bytes_before` and `bytes_after` are those of
    parameters and buffers.
    """

    variant: str
    joined: list[tuple[str, ...]] = field(default_factory=list)
    dense: list[str] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)
    wide: bool = False
    packed: int = 0
    bytes_before: int = 0
    bytes_after: int = 0

    def told(self) -> dict[str, Any]:
        """It in short, as a record tells it: of names how many there are."""
        return {name: len(value) if isinstance(value, list) else value for name, value in vars(self).items()}


def optimize(model: PreTrainedModel, variant: str = FUSED) -> PreTrainedModel:
    """The model itself, changed in place to run as `variant` says; `model.execution` (`Execution`) tells what was done.

    For inference: what is fused is not saved any more, and not trained. `fused` works with everything that calls the model, but what you
    compile yourself should be plain: on a CPU the weights are packed (`packing`), which no graph can hold. `compiled` and `prepacked`
    compile decoding, one token for each sequence on a static cache, which `generate` then takes by itself: the first token takes a minute
    or more, every other batch size or cache length as long again (`max_length` gives all prompts one, `max_new_tokens` each its own);
    prefill runs fused, with the weights as they were. `prepacked` keeps a copy of the weights for each of these, in the layout that the
    processor reads best, and is for a CPU alone. Bring the model to its device and precision before; hooks on its linear maps are lost.
    Several threads may call it, but for a compiled one, which serves one at a time; on CUDA that gives every token's logits in the same
    memory, so keep `logits.clone()` of those that are wanted after the next.

    Raises ValueError for a variant that is none, or none for this device, and for a model that is run by one already, is in training, has
    weights that are not in memory, or has adapters; for a compiled one also where accelerate's hooks move what it reads.
    """
    _refuse(model, variant)
    execution = Execution(variant, bytes_before=_bytes(model))
    if variant != "plain":
        with torch.no_grad():
            fusing = Fusing.of(model)
            execution.joined, execution.dense, execution.folded = fusing.joined, fusing.dense, fusing.folded
        quicken(model)
        execution.wide = any(isinstance(module, Product) and module.wide for module in model.modules())
        model.save_pretrained = _not_saved
    if variant == FUSED:  # a graph reads the others' weights as they are, or packs them for itself
        execution.packed = pack(model)
    execution.bytes_after = _bytes(model)
    model.execution = execution
    if variant in COMPILED:
        compile_decoding(model, prepack=variant == PREPACKED)
    return model


def _refuse(model: PreTrainedModel, variant: str) -> None:
    """Raise ValueError where a model cannot be run so."""
    if variant not in VARIANTS:
        raise ValueError(f"there is no variant {variant!r} of running a model; known: {', '.join(VARIANTS)}")
    if variant in COMPILED and (reason := not_compiled(model)):
        raise ValueError(f"this {model.config.model_type} model cannot run {variant}: {reason}; run it fused")
    if variant == PREPACKED and (reason := not_prepacked(model.device.type)):
        raise ValueError(f"this model cannot run {variant} on {model.device}: {reason}; run it compiled")
    if hasattr(model, "execution"):
        raise ValueError(f"this model runs {model.execution.variant} already; load it again to run it {variant}")
    if model.training and variant != "plain":
        raise ValueError(f"this model is in training, and one that runs {variant} cannot be trained; call model.eval() first")
    if away := [name for name, weight in model.named_parameters() if weight.is_meta]:
        raise ValueError(
            f"{len(away)} weights of this model are not in memory ({away[0]}, …); load it where it fits whole, without offloading"
        )
    if variant in COMPILED and hasattr(model, "_hf_hook"):
        raise ValueError(f"this model is spread by accelerate, whose hooks a graph leaves out; load it on one device to run it {variant}")
    adapted = [name for name, module in model.named_modules() if hasattr(module, "base_layer")]  # as peft calls what it wraps
    if adapted and variant != "plain":
        raise ValueError(f"{len(adapted)} modules of this model have an adapter ({adapted[0]}, …); merge it first")
    low_rank = [(name, module) for name, module in model.named_modules() if isinstance(module, LowRankLinear)]
    if wrong := [name for name, module in low_rank if not {type(module.basis), type(module.coefficients)} <= {nn.Linear}]:
        raise ValueError(
            f"{len(wrong)} projections have something else in the place of their factors ({wrong[0]}, …), an adapter perhaps: merge it"
        )
    if apart := [name for name, module in low_rank if module.basis.weight.device != module.coefficients.weight.device]:
        raise ValueError(f"{len(apart)} projections read a basis on another device ({apart[0]}, …); load the model on one device")


def _bytes(model: nn.Module) -> int:
    """Bytes of parameters and buffers, those that several modules have once."""
    return held([*model.parameters(), *model.buffers()])


def _not_saved(*_args: Any, **_kwargs: Any) -> None:
    raise ValueError("this model was changed by drank.optimize to be run, and is not saved so; save it before, or load it again")
