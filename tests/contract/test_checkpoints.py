"""Every family: conversion, saving and loading keep the model, bit for bit, and checkpoints as they are found are read."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from drank.allocation.plan import Plan
from drank.models.checkpoint import load_model, load_tokenizer, save
from drank.models.families import blocks_of, family_of, projections_of
from drank.models.lowrank import matrix_of
from drank.models.tensors import size_of
from drank.models.weights import Checkpoint
from tests.contract.forward import logits_of

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("tied", [False, True])
def test_full_rank_factors_are_the_dense_model(family, group, tied, tiny_model, compress, tokens):
    dense = logits_of(tiny_model(family, tie_word_embeddings=tied), tokens)
    model, plan = compress(family, group=group, keep=None, tie_word_embeddings=tied)
    sizes = {len(shape.shape.layers) for shape in plan.groups if shape.shape.kind in {"q", "qkv"}}
    assert sizes == ({1} if group == 1 else {2} if model.config.num_hidden_layers % 2 == 0 else {1, 2})
    assert dense.abs().mean() > 0.1
    torch.testing.assert_close(logits_of(model, tokens), dense, rtol=1e-4, atol=1e-4)
    truncated, _ = compress(family, group=group, tie_word_embeddings=tied)
    assert (logits_of(truncated, tokens) - dense).abs().max() > 1e-2, "truncation must show, or this test compares nothing"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("shard", ["5GB", 8000])
def test_round_trip_is_bit_equal(family, dtype, tied, shard, compress, tiny_tokenizer, tokens, tmp_path):
    model, plan = compress(family, dense=("down",), dtype=dtype, tie_word_embeddings=tied)
    save(model, tiny_tokenizer, plan.groups, tmp_path / "model", shard, {"plan.json": plan.to_json()})
    assert (len(list((tmp_path / "model").glob("*.safetensors"))) > 1) == (shard == 8000)
    expected = logits_of(model, tokens)
    for loaded in (AutoModelForCausalLM.from_pretrained(tmp_path / "model"), load_model(tmp_path / "model", dtype)):
        assert loaded.dtype == dtype
        assert not loaded.training
        assert torch.equal(logits_of(loaded, tokens), expected)
    assert Plan.read(tmp_path / "model" / "plan.json") == plan
    assert load_tokenizer(tmp_path / "model")("def f(x):").input_ids == tiny_tokenizer("def f(x):").input_ids


def test_saved_again_is_the_same(family, compress, tokens, tmp_path):
    model, plan = compress(family)
    save(model, None, plan.groups, tmp_path / "once")
    save(load_model(tmp_path / "once"), None, plan.groups, tmp_path / "twice")
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes()


def test_parameter_count_is_that_of_the_saved_tensors(family, compress, tiny_model, tmp_path):
    model, plan = compress(family, group=2, dense=("o",), tie_word_embeddings=True)
    save(model, None, plan.groups, tmp_path / "model", max_shard_size=8000)
    tiny_model(family, tie_word_embeddings=True).save_pretrained(tmp_path / "dense")
    stored = {name: tensor for file in (tmp_path / "model").glob("*.safetensors") for name, tensor in load_file(file).items()}
    tied = model.get_output_embeddings().weight.numel()  # which the state dict has twice
    size, dense = size_of(tmp_path / "model"), size_of(tmp_path / "dense")
    assert (
        size.parameters
        == sum(tensor.numel() for tensor in stored.values())
        == sum(map(torch.Tensor.numel, model.state_dict().values())) - tied
    )
    assert size.bytes == 4 * size.parameters
    assert (dense.ratio_stored, dense.ratio_model) == (0.0, 0.0)
    assert dense.parameters - size.parameters == plan.dense_parameters - plan.parameters
    assert size.ratio_stored == pytest.approx(1 - plan.parameters / plan.dense_parameters)
    assert size.ratio_model == pytest.approx(1 - size.parameters / dense.parameters)


def test_dense_directory_is_loaded_by_the_same_loader(family, tiny_model, tiny_tokenizer, tokens, tmp_path):
    model = tiny_model(family)
    save(model, tiny_tokenizer, None, tmp_path / "model", max_shard_size=8000)
    assert torch.equal(logits_of(load_model(tmp_path / "model"), tokens), logits_of(model, tokens))
    assert not (tmp_path / "model" / "plan.json").exists()


def test_dense_directory_is_that_of_transformers(family, tiny_model, tokens, tmp_path):
    """Names and values are those that transformers itself writes, so that any program reads them."""
    model = tiny_model(family)
    save(model, None, None, tmp_path / "ours")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    torch.testing.assert_close(logits_of(theirs, tokens), logits_of(model, tokens), rtol=1e-4, atol=1e-4)
    theirs.save_pretrained(tmp_path / "theirs")
    ours, again = (load_file(tmp_path / who / "model.safetensors") for who in ("ours", "theirs"))
    assert set(ours) == set(again)
    assert all(torch.equal(ours[name], again[name]) for name in ours)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("base", [False, True])
def test_checkpoint_is_read_block_by_block(family, tied, base, tiny_model, tmp_path):
    """Every tensor once, in its dtype and by its name in the model, from shards and from checkpoints of a base model."""
    model = tiny_model(family, dtype=torch.bfloat16, tie_word_embeddings=tied)
    (model.base_model if base else model).save_pretrained(tmp_path, max_shard_size=8000)
    checkpoint, state = Checkpoint(tmp_path), dict(model.state_dict())
    head = {"lm_head.weight": state.pop("lm_head.weight")}
    expected = state if tied or base else state | head
    assert checkpoint.layers == len(blocks_of(model))
    found = checkpoint.other_state()
    for layer, block in enumerate(blocks_of(model)):
        of_block = checkpoint.block_state(layer)
        assert set(of_block) == set(block.state_dict())
        found |= {f"{checkpoint.family.blocks}.{layer}.{name}": tensor for name, tensor in of_block.items()}
    assert set(found) == set(expected)
    assert all(torch.equal(tensor, expected[name]) and tensor.dtype == torch.bfloat16 for name, tensor in found.items())


@pytest.mark.parametrize(
    ("family", "masks"), [("gpt2", ("attn.bias", "attn.masked_bias")), ("gpt_neox", ("attention.bias", "attention.rotary_emb.inv_freq"))]
)
def test_checkpoints_as_old_as_those_of_the_hub_are_read(family, masks, tiny_model, tokens, tmp_path):
    """Without the prefix of the base model, with causal masks or frequencies among the weights, the head tied and absent."""
    model = tiny_model(family, tie_word_embeddings=True)
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    prefix = f"{model.base_model_prefix}."
    blocks = family_of(model.config).blocks.removeprefix(prefix)
    stored = {name.removeprefix(prefix): tensor for name, tensor in stored.items()}
    assert not any("lm_head" in name or "embed_out" in name for name in stored)
    size = size_of(tmp_path)
    masked = {f"{blocks}.{layer}.{mask}": torch.ones(1, 1, 9, 9) for layer in range(3) for mask in masks}
    save_file(stored | masked, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert size_of(tmp_path) == size
    assert torch.equal(logits_of(load_model(tmp_path), tokens), logits_of(model, tokens))
    assert set(Checkpoint(tmp_path).block_state(2)) == set(blocks_of(model)[2].state_dict())


def test_matrices_of_a_checkpoint_are_those_of_the_maps(family, tiny_model, tmp_path):
    model = tiny_model(family)
    model.save_pretrained(tmp_path)
    checkpoint = Checkpoint(tmp_path)
    for layer, projection, module in projections_of(model):
        assert torch.equal(checkpoint.matrix(layer, projection.role), matrix_of(module).double())
        assert projection.transposed == (matrix_of(module).data_ptr() == module.weight.data_ptr() and matrix_of(module).is_contiguous())
    shapes = checkpoint.shapes(2)
    assert [shape.role for shape in shapes if 0 in shape.layers] == list(family_of(model.config).roles)
    for shape in shapes:
        assert checkpoint.group_matrix(shape).shape == (shape.rows, shape.width)
