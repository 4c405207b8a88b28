"""What every contract test needs: a tiny random model of each family, a tiny tokenizer, plans and factors for them. No network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

import drank.models.families
from drank.allocation.plan import Plan
from drank.models.conversion import convert, store
from drank.models.experts import unfuse
from drank.models.families import projections_of
from drank.models.groups import Group, Shape
from drank.models.lowrank import matrix_of
from drank.models.storage import STORAGES

Compress = Callable[..., tuple[PreTrainedModel, Plan]]

FAMILY_NAMES = tuple(sorted(drank.models.families.FAMILIES))

_ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
_SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}

# Large initial weights, so that a wrong weight shows in the logits
_COMMON: dict[str, Any] = {
    "vocab_size": len(_ALPHABET) + len(_SPECIAL),
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "bos_token_id": len(_ALPHABET),
    "eos_token_id": len(_ALPHABET) + 1,
    "pad_token_id": len(_ALPHABET) + 2,
    "tie_word_embeddings": False,
}
_LLAMA = _COMMON | {"num_key_value_heads": 2, "intermediate_size": 40, "initializer_range": 0.3}
_MIXTURE = _LLAMA | {"num_experts_per_tok": 2}
_GEMMA = _LLAMA | {"head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8}

CONFIGS: dict[str, dict[str, Any]] = {
    "gemma2": _GEMMA | {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0},
    "gemma3_text": _GEMMA | {"num_hidden_layers": 4, "sliding_window_pattern": 2},
    "gpt2": _COMMON | {"n_inner": 40, "initializer_range": 0.3, "scale_attn_by_inverse_layer_idx": True},
    "gpt_neox": _COMMON | {"intermediate_size": 40, "initializer_range": 0.3, "rotary_pct": 0.5},
    "granite": _LLAMA | {"embedding_multiplier": 3.0, "residual_multiplier": 0.4, "attention_multiplier": 0.3, "logits_scaling": 2.0},
    "llama": _LLAMA | {"num_key_value_heads": 4},
    "mistral": _LLAMA | {"sliding_window": 8},
    "mixtral": _MIXTURE | {"intermediate_size": 20, "num_local_experts": 4},
    "olmo2": _LLAMA,
    "opt": _COMMON | {"ffn_dim": 40, "word_embed_proj_dim": 16, "init_std": 0.3},
    "phi3": _LLAMA | {"partial_rotary_factor": 0.5},
    "qwen2": _LLAMA,
    "qwen3": _LLAMA | {"head_dim": 8},
    "qwen3_moe": _MIXTURE | {"head_dim": 8, "moe_intermediate_size": 20, "num_experts": 4},
    "smollm3": _LLAMA | {"no_rope_layer_interval": 2},
}
"""A small configuration of each family with its peculiarities: grouped-query attention, biases, head norms, sliding windows,
rotary positions in a part of each head or in some layers only, scaled residuals and logits, experts."""


def build_model(model_type: str, *, dtype: torch.dtype = torch.float32, seed: int = 0, **overrides: Any) -> PreTrainedModel:
    """A random model of a family in evaluation mode, experts unfused; `overrides` are keys of its Hugging Face configuration."""
    if model_type not in CONFIGS:
        pytest.fail(f"family {model_type!r} has no tiny configuration: add one to CONFIGS in {__file__}")
    config = AutoConfig.for_model(model_type, **(CONFIGS[model_type] | overrides))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
        for parameter in model.parameters():
            if parameter.ndim == 1:  # biases and norms start as constants, which would hide a lost or swapped one
                parameter.data += 0.2 * torch.randn_like(parameter)
    return unfuse(model.eval())


def build_plan(model: PreTrainedModel, *, group: int = 1, keep: float | None = 0.6, dense: Iterable[str] = ()) -> Plan:
    """A uniform plan with groups of `group` layers (the last may be smaller), ranks at `keep` × the largest, all of it where None.

    The kinds in `dense` are stored uncompressed.
    """
    shapes: dict[str, list[Shape]] = {}
    grouped = drank.models.families.family_of(model.config).grouped
    for layer, projection, module in projections_of(model):
        of_role = shapes.setdefault(projection.role, [])
        if of_role and drank.models.families.kind_of(projection.role) in grouped and len(of_role[-1].layers) < group:
            last = of_role.pop()
            of_role.append(Shape(last.role, (*last.layers, layer), last.rows, last.columns))
        else:
            of_role.append(Shape(projection.role, (layer,), *matrix_of(module).shape))
    groups = [
        Group(shape, float(shape.max_rank), shape.max_rank if keep is None else math.ceil(keep * shape.max_rank), shape.kind in dense)
        for of_role in shapes.values()
        for shape in of_role
    ]
    return Plan("tiny", "test", 0.0, {"group": group, "keep": keep}, tuple(groups))


def build_factors(model: PreTrainedModel, plan: Plan) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The truncated SVD in float64 of each group's matrix [W_1 … W_n], unweighted: at full rank its product is that matrix."""
    weights = {(projection.role, layer): matrix_of(module).detach().double() for layer, projection, module in projections_of(model)}
    factors = {}
    for group in plan.groups:
        if not group.dense:
            matrix = torch.cat([weights[group.shape.role, layer] for layer in group.shape.layers], dim=1)
            u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
            factors[group.shape.name] = (u[:, : group.rank] * s[: group.rank], vh[: group.rank])
    return factors


@pytest.fixture(params=FAMILY_NAMES)
def family(request: pytest.FixtureRequest) -> str:
    """Each family in turn, by `model_type`."""
    return request.param


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., PreTrainedModel]:
    """`build_model`."""
    return build_model


@pytest.fixture(scope="session")
def tiny_plan() -> Callable[..., Plan]:
    """`build_plan`."""
    return build_plan


@pytest.fixture(scope="session")
def svd_factors() -> Callable[[PreTrainedModel, Plan], dict[str, tuple[torch.Tensor, torch.Tensor]]]:
    """`build_factors`."""
    return build_factors


@pytest.fixture(scope="session")
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer without merges, one token a byte, that fits the vocabulary of the tiny models."""
    core = Tokenizer(BPE(vocab={letter: index for index, letter in enumerate(_ALPHABET)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(list(_SPECIAL.values()))
    return PreTrainedTokenizerFast(tokenizer_object=core, **_SPECIAL)


@pytest.fixture(scope="session")
def tokens() -> torch.Tensor:
    """Two rows of 24 token ids of the tiny vocabulary, longer than the sliding windows."""
    return torch.randint(0, len(_ALPHABET), (2, 24), generator=torch.Generator().manual_seed(7))


@pytest.fixture(scope="session")
def windows() -> torch.Tensor:
    """Seven windows of 20 ids, longer than the sliding windows; batches of 3 leave a last one of 1."""
    return torch.randint(0, 250, (7, 20), generator=torch.Generator().manual_seed(3))


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest) -> str:
    """Each storage in turn."""
    return request.param


@pytest.fixture
def compress(tiny_model, tiny_plan, svd_factors, storage) -> Compress:
    """Builds a tiny model, converts it by a plan (group, keep, dense) to a storage, and gives both."""

    def build(family: str, *, group: int = 2, keep: float | None = 0.6, dense=(), **options):
        model = tiny_model(family, **options)
        plan = tiny_plan(model, group=group, keep=keep, dense=dense)
        plan = replace(plan, groups=tuple(replace(one, shape=replace(one.shape, storage=storage)) for one in plan.groups))
        convert(model, plan.groups, svd_factors(model, plan))
        store(model, plan.groups, {})
        return model, plan

    return build
