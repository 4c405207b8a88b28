"""What can be compressed in a model, as data: where the decoder blocks are, which projections they hold and which inputs these share.

A model family is one entry of `FAMILIES`, keyed by the `model_type` of its Hugging Face configuration. Nothing else in drank asks what
family a model is of.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Projection:
    """One linear map of a decoder block: its role, its place in the block, and the input it reads.

    Projections of a block with the same `reads` get the very same tensor, so its moments are accumulated once.
    """

    role: str
    path: str
    reads: str


@dataclass(frozen=True)
class Family:
    """Where a model keeps its decoder blocks, and the projections in each of them.

    `grouped` names the roles whose layers may share a basis (D-Rank, section 4.1: Q, K, V, up and gate; O and down stay alone).
    """

    blocks: str
    projections: tuple[Projection, ...]
    grouped: frozenset[str] = frozenset({"q", "k", "v", "gate", "up"})

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the projections, in the order in which a block applies them."""
        return tuple(projection.role for projection in self.projections)


_LLAMA = Family(
    blocks="model.layers",
    projections=(
        Projection("q", "self_attn.q_proj", reads="attention"),
        Projection("k", "self_attn.k_proj", reads="attention"),
        Projection("v", "self_attn.v_proj", reads="attention"),
        Projection("o", "self_attn.o_proj", reads="heads"),
        Projection("gate", "mlp.gate_proj", reads="mlp"),
        Projection("up", "mlp.up_proj", reads="mlp"),
        Projection("down", "mlp.down_proj", reads="hidden"),
    ),
)

_OPT = Family(
    blocks="model.decoder.layers",
    projections=(
        Projection("q", "self_attn.q_proj", reads="attention"),
        Projection("k", "self_attn.k_proj", reads="attention"),
        Projection("v", "self_attn.v_proj", reads="attention"),
        Projection("o", "self_attn.out_proj", reads="heads"),
        Projection("up", "fc1", reads="mlp"),
        Projection("down", "fc2", reads="hidden"),
    ),
)

FAMILIES: dict[str, Family] = {
    "gemma2": _LLAMA,
    "gemma3_text": _LLAMA,
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "opt": _OPT,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
}
"""The families drank can compress, by `model_type`."""


class UnknownFamilyError(ValueError):
    """A model whose architecture is not in `FAMILIES`."""


def family_of(model_type: str) -> Family:
    """The family of a `model_type`; raises UnknownFamilyError with near names and how to add one."""
    try:
        return FAMILIES[model_type]
    except KeyError:
        near = difflib.get_close_matches(model_type, FAMILIES, n=3)
        hint = f" (near: {', '.join(near)})" if near else ""
        raise UnknownFamilyError(
            f"model_type {model_type!r} is not a family drank knows{hint}; known: {', '.join(sorted(FAMILIES))}. "
            "To add it, give drank.families.FAMILIES an entry that names its decoder blocks and their projections"
        ) from None


def blocks_of(model: PreTrainedModel) -> list[nn.Module]:
    """The decoder blocks of a model in order; raises UnknownFamilyError as `family_of` does."""
    blocks = model.get_submodule(family_of(model.config.model_type).blocks)
    return list(blocks.children())


def projections_of(model: PreTrainedModel) -> Iterator[tuple[int, Projection, nn.Module]]:
    """Layer number, description and module of every compressible projection, layer by layer.

    Raises UnknownFamilyError where a block lacks a projection that its family promises.
    """
    family = family_of(model.config.model_type)
    for layer, block in enumerate(blocks_of(model)):
        for projection in family.projections:
            try:
                module = block.get_submodule(projection.path)
            except AttributeError as error:
                raise UnknownFamilyError(
                    f"layer {layer} of this {model.config.model_type} model has no {projection.path!r} ({error}); "
                    "its code differs from the family's entry in drank.families.FAMILIES"
                ) from None
            yield layer, projection, module


def module_path(model_type: str, layer: int, role: str) -> str:
    """The dotted name of one projection inside its model, such as `model.layers.3.self_attn.q_proj`."""
    family = family_of(model_type)
    path = next(projection.path for projection in family.projections if projection.role == role)
    return f"{family.blocks}.{layer}.{path}"
