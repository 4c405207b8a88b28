"""The model families as data, keyed by the `model_type` of their Hugging Face configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Projection:
    """One linear map of a decoder block: its role, its place in the block, and the input it reads.

    Projections of a block with the same `reads` get the very same tensor, so its moments are accumulated once. `transposed` says that
    the weight is stored as (d1, d2), not (d2, d1). `makes` names the input of another that its outputs become entry by entry, by what
    treats all entries alike. In an entry of `FAMILIES`, `{expert}` stands for the number of each expert.
    """

    role: str
    path: str
    reads: str
    transposed: bool = False
    makes: str = ""

    @property
    def routed(self) -> bool:
        """Whether it is an expert's, which reads the tokens that are routed there."""
        return "." in self.role


@dataclass(frozen=True)
class Family:
    """Where a model keeps its decoder blocks, and the projections in each of them.

    `grouped` names the kinds whose layers may share a basis (D-Rank, section 4.1: Q, K, V, up and gate, fused or not; O and down stay
    alone). `renamed` gives, for a part of a dotted name that files have and the modules do not, the module's. `requires` holds values
    of the configuration without which a model is not what the entry says; one that is not there is taken for right. `positions` are
    the rows of a table of positions where the configuration does not say how many: past it a model cannot read at all. `ties` tells
    whether the output layer is the embedding where a configuration does not say, `needs_bos` whether the model is lost in a window that
    does not begin with BOS, having seen none such while it was trained.
    """

    blocks: str
    projections: tuple[Projection, ...]
    grouped: frozenset[str] = frozenset({"q", "k", "v", "qkv", "gate", "up", "gate_up"})
    renamed: Mapping[str, str] = field(default_factory=dict)
    requires: Mapping[str, Any] = field(default_factory=dict)
    positions: int | None = None
    ties: bool = False
    needs_bos: bool = False

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the projections, in the order of the entry."""
        return tuple(projection.role for projection in self.projections)

    @property
    def mixture(self) -> bool:
        """Whether each block is a mixture of experts, with projections of their own."""
        return any(projection.routed for projection in self.projections)


_ATTENTION = (
    Projection("q", "self_attn.q_proj", reads="attention"),
    Projection("k", "self_attn.k_proj", reads="attention"),
    Projection("v", "self_attn.v_proj", reads="attention"),
    Projection("o", "self_attn.o_proj", reads="heads"),
)
_EXPERTS = (
    Projection("gate.{expert}", "mlp.experts.{expert}.gate_proj", reads="expert.{expert}", makes="expert-hidden.{expert}"),
    Projection("up.{expert}", "mlp.experts.{expert}.up_proj", reads="expert.{expert}", makes="expert-hidden.{expert}"),
    Projection("down.{expert}", "mlp.experts.{expert}.down_proj", reads="expert-hidden.{expert}"),
)
_LLAMA = Family(
    blocks="model.layers",
    projections=(
        *_ATTENTION,
        Projection("gate", "mlp.gate_proj", reads="mlp", makes="hidden"),
        Projection("up", "mlp.up_proj", reads="mlp", makes="hidden"),
        Projection("down", "mlp.down_proj", reads="hidden"),
    ),
)

_FORWARD = {"use_bidirectional_attention": False}  # else it reads a text from both ends and predicts no next token, as EmbeddingGemma

FAMILIES: dict[str, Family] = {
    "gemma2": replace(_LLAMA, ties=True, needs_bos=True, requires=_FORWARD),
    "gemma3_text": replace(_LLAMA, ties=True, needs_bos=True, requires=_FORWARD),
    "gpt2": Family(
        blocks="transformer.h",
        projections=(
            Projection("qkv", "attn.c_attn", reads="attention", transposed=True),
            Projection("o", "attn.c_proj", reads="heads", transposed=True),
            Projection("up", "mlp.c_fc", reads="mlp", transposed=True, makes="hidden"),
            Projection("down", "mlp.c_proj", reads="hidden", transposed=True),
        ),
        requires={"add_cross_attention": False},
        positions=1024,
        ties=True,
    ),
    "gpt_neox": Family(
        blocks="gpt_neox.layers",
        projections=(
            Projection("qkv", "attention.query_key_value", reads="attention"),
            Projection("o", "attention.dense", reads="heads"),
            Projection("up", "mlp.dense_h_to_4h", reads="mlp", makes="hidden"),
            Projection("down", "mlp.dense_4h_to_h", reads="hidden"),
        ),
        renamed={"embed_out": "lm_head"},
    ),
    "granite": _LLAMA,
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "mixtral": Family(
        blocks="model.layers",
        projections=_ATTENTION + _EXPERTS,
        renamed={"block_sparse_moe": "mlp", "w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"},
    ),
    "olmo2": _LLAMA,
    "opt": Family(
        blocks="model.decoder.layers",
        projections=(
            *_ATTENTION[:3],
            Projection("o", "self_attn.out_proj", reads="heads"),
            Projection("up", "fc1", reads="mlp", makes="hidden"),
            Projection("down", "fc2", reads="hidden"),
        ),
        positions=2048,
        ties=True,
    ),
    "phi3": Family(
        blocks="model.layers",
        projections=(
            Projection("qkv", "self_attn.qkv_proj", reads="attention"),
            Projection("o", "self_attn.o_proj", reads="heads"),
            Projection("gate_up", "mlp.gate_up_proj", reads="mlp"),
            Projection("down", "mlp.down_proj", reads="hidden"),
        ),
    ),
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "qwen3_moe": Family(
        blocks="model.layers",
        projections=_ATTENTION + _EXPERTS,
        requires={"decoder_sparse_step": 1, "mlp_only_layers": []},
    ),
    "smollm3": replace(_LLAMA, ties=True),
}
"""The families drank can compress, by `model_type`."""

BEGUN = frozenset(
    {
        "gemma",
        "gemma3",
        "gemma3n",
        "gemma3n_text",
        "gemma4",
        "gemma4_text",
        "gemma4_unified",
        "gemma4_unified_text",
        "recurrent_gemma",
        "vaultgemma",
    }
)
"""Families without an entry, which are measured and not compressed, that need BOS before every window as those with one may."""
