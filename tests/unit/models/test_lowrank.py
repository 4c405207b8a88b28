"""drank.models.lowrank: the low-rank module and the conversion of a model."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM
from transformers.pytorch_utils import Conv1D

from drank.models.conversion import convert, skeleton
from drank.models.description import CheckpointError
from drank.models.experts import unfuse
from drank.models.families import UnknownFamilyError
from drank.models.groups import Group, Shape
from drank.models.lowrank import LowRankLinear, matrix_of


def llama() -> LlamaForCausalLM:
    sizes = {"vocab_size": 11, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2}
    return LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2, num_key_value_heads=1)).eval()


QUERY = Group(Shape("q", (0, 1), 8, 8), 3.0, 3)
DOWN = Group(Shape("down", (1,), 12, 8), 3.0, 2)


def random_factors(*groups: Group) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    return {g.shape.name: (torch.randn(g.shape.rows, g.rank), torch.randn(g.rank, g.shape.width)) for g in groups}


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9), layers=st.integers(1, 4), rank=st.integers(1, 6), bias=st.booleans())
def test_module_is_the_product_of_its_factors(rows, columns, layers, rank, bias):
    generator = torch.Generator().manual_seed(rows * 1000 + columns * 100 + layers * 10 + rank)
    basis = torch.randn(rows, rank, generator=generator, dtype=torch.float64)
    coefficients = torch.randn(rank, layers * columns, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 5, rows, generator=generator, dtype=torch.float64)
    owner = None
    for block in coefficients.split(columns, dim=1):
        dense = nn.Linear(rows, columns, bias=bias, dtype=torch.float64)
        module = LowRankLinear(dense, rank, owner)
        module.fill(basis, block, dense)
        owner = owner or module
        torch.testing.assert_close(module(x), x @ (basis @ block) + (dense.bias if bias else 0))
        assert module.basis is owner.basis
        assert module.owns_basis == (module is owner)
        assert (module.in_features, module.out_features, module.rank) == (rows, columns, rank)
        assert (module.weight.dtype, module.weight.device.type, module.weight.numel()) == (torch.float64, "cpu", 0)


def test_borrower_follows_whatever_the_owner_has():
    dense = nn.Linear(4, 3, bias=False)
    owner = LowRankLinear(dense, 2)
    borrower = LowRankLinear(dense, 2, owner)
    for module in (owner, borrower):
        module.fill(torch.randn(4, 2), torch.randn(2, 3), dense)
    assert set(owner.state_dict()) == {"weight", "basis.weight", "coefficients.weight"}
    assert set(borrower.state_dict()) == {"weight", "coefficients.weight"}
    assert borrower.basis is owner.basis
    owner.basis = nn.Linear(4, 2, bias=False)
    assert borrower.basis is owner.basis
    pair = copy.deepcopy(nn.ModuleList([owner, borrower]))
    assert pair[1].basis is pair[0].basis is not owner.basis
    assert "basis borrowed" in repr(borrower) and "basis borrowed" not in repr(owner)
    with pytest.raises(AttributeError, match="nothing"):
        _ = borrower.nothing


def test_factors_keep_no_hold_on_the_spectrum():
    """A slice of a large basis must not keep all of it in memory, nor change with it."""
    model, large = llama(), torch.randn(8, 100)
    factors = {"q.00-01": (large[:, :3], torch.randn(3, 16))}
    convert(model, [QUERY], factors)
    weight = model.model.layers[0].self_attn.q_proj.basis.weight
    assert weight.untyped_storage().nbytes() == 3 * 8 * 4
    before = weight.clone()
    large.zero_()
    assert torch.equal(weight, before)


def test_convert_keeps_dtype_bias_mode_and_the_other_modules():
    model = LlamaForCausalLM(LlamaConfig(**llama().config.to_dict() | {"attention_bias": True})).to(torch.bfloat16).eval()
    bias = model.model.layers[1].self_attn.q_proj.bias.data.normal_().clone()
    dense = model.model.layers[1].mlp.down_proj
    convert(model, [QUERY, replace(DOWN, dense=True)], random_factors(QUERY))
    projection = model.model.layers[1].self_attn.q_proj
    assert torch.equal(projection.bias, bias)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert not any(module.training for module in model.modules())
    assert model.model.layers[1].mlp.down_proj is dense
    assert not any(tensor.is_meta for tensor in model.state_dict().values())
    assert model.config.quantization_config["groups"][0] == {
        "role": "q",
        "layers": [0, 1],
        "rows": 8,
        "columns": 8,
        "rank": 3,
        "dense": False,
        "storage": "factors",
    }


def test_convert_names_every_offender_and_changes_nothing():
    model = llama()
    model.model.layers[1].mlp.up_proj = nn.Identity()
    before = repr(model)
    groups = (
        QUERY,
        replace(QUERY, rank=9),
        Group(Shape("k", (0,), 8, 8), 1.0, 1),
        Group(Shape("o", (7,), 8, 8), 1.0, 1),
        Group(Shape("z", (0,), 8, 8), 1.0, 0),
        Group(Shape("up", (1,), 8, 12), 1.0, 1),
        DOWN,
        Group(Shape("v", (0,), 8, 4), 1.0, 1),
    )
    factors = random_factors(*groups) | {"gate.00": (torch.ones(1, 1), torch.ones(1, 1))}
    factors["v.00"] = (factors["v.00"][0], torch.full((1, 4), torch.inf))
    factors["k.00"] = (torch.ones(8, 2), factors["k.00"][1])
    del factors["down.01"]
    with pytest.raises(ValueError, match="do not fit the model") as caught:
        convert(model, groups, factors)
    for words in (
        "q of layer 0 is in 2 groups",
        "q.00-01: rank 9 is outside 1 … 8",
        "k.00: model.layers.0.self_attn.k_proj is 8 × 4, the group says 8 × 8",
        "o.07: layer 7 is outside 0 … 1",
        "z.00: rank 0 is outside 1 … 8",
        "z.00: a llama model has no role 'z', only q, k, v, o, gate, up, down",
        "up.01: model.layers.1.mlp.up_proj is a Identity; only dense nn.Linear",
        "gate.00: factors for a group that is not factorised",
        "down.01: no factors",
        "v.00: coefficients with values that are not finite",
        "k.00: basis of shape (8, 2), its group needs (8, 1)",
    ):
        assert words in str(caught.value)
    assert repr(model) == before


def test_matrix_is_that_of_the_map_whichever_way_the_weight_lies():
    for dense in (nn.Linear(4, 3), Conv1D(3, 4)):
        nn.init.normal_(dense.bias)
        x = torch.randn(2, 5, 4)
        assert matrix_of(dense).shape == (4, 3)
        assert matrix_of(dense).data_ptr() == dense.weight.data_ptr()
        torch.testing.assert_close(dense(x), x @ matrix_of(dense) + dense.bias)


def test_a_fused_transposed_projection_keeps_its_bias():
    model = GPT2LMHeadModel(GPT2Config(vocab_size=11, n_embd=8, n_layer=2, n_head=2, n_positions=16)).eval()
    for block in model.transformer.h:
        nn.init.normal_(block.attn.c_attn.bias)
    dense = [copy.deepcopy(block.attn.c_attn) for block in model.transformer.h]
    group = Group(Shape("qkv", (0, 1), 8, 24), 3.0, 8)
    u, s, vh = torch.linalg.svd(torch.cat([matrix_of(module) for module in dense], dim=1).detach(), full_matrices=False)
    convert(model, [group], {"qkv.00-01": (u * s, vh)})
    x = torch.randn(3, 8)
    for before, block in zip(dense, model.transformer.h, strict=True):
        assert isinstance(block.attn.c_attn, LowRankLinear)
        torch.testing.assert_close(block.attn.c_attn(x), before(x))


def test_each_expert_has_its_groups_over_the_layers():
    sizes = {"vocab_size": 11, "hidden_size": 8, "intermediate_size": 6, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = MixtralForCausalLM(MixtralConfig(**sizes, num_key_value_heads=1, num_local_experts=3, num_experts_per_tok=2)).eval()
    group = Group(Shape("gate.2", (0, 1), 8, 6), 3.0, 2)
    with pytest.raises(UnknownFamilyError, match=r"no 'mlp\.experts\.0\.gate_proj'.*drank\.models\.experts\.unfuse"):
        convert(model, [group], random_factors(group))
    unfuse(model)
    with pytest.raises(ValueError, match=r"gate\.3\.00-01: a mixtral model has no role 'gate\.3', only q, .* down\.2"):
        convert(model, [replace(group, shape=Shape("gate.3", (0, 1), 8, 6))], {})
    convert(model, [group], random_factors(group))
    changed = [name for name, module in model.named_modules() if isinstance(module, LowRankLinear)]
    assert changed == [f"model.layers.{layer}.mlp.experts.2.gate_proj" for layer in (0, 1)]
    first, second = (model.get_submodule(name) for name in changed)
    assert second.basis is first.basis


def test_converting_twice_is_refused():
    model = llama()
    convert(model, [QUERY], random_factors(QUERY))
    with pytest.raises(ValueError, match=r"q_proj is a LowRankLinear; only dense"):
        convert(model, [QUERY], random_factors(QUERY))


def test_skeleton_is_the_converted_model_without_weights():
    model, empty = llama(), llama()
    convert(model, [QUERY, DOWN], random_factors(QUERY, DOWN))
    skeleton(empty, (QUERY, DOWN))
    shapes = {name: (tuple(value.shape), value.dtype) for name, value in model.state_dict().items()}
    assert {name: (tuple(value.shape), value.dtype) for name, value in empty.state_dict().items()} == shapes
    assert empty.model.layers[0].self_attn.q_proj.basis.weight.is_meta
    with pytest.raises(CheckpointError, match=r"rerun `compress`:\n  down\.01: .* is a LowRankLinear"):
        skeleton(empty, (DOWN,))
