"""Every family: conversion, saving and loading keep the model, bit for bit, and what is not a whole model is refused."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from drank.allocation.plan import Plan
from drank.models.checkpoint import load_model, load_tokenizer, save
from drank.models.description import CheckpointError
from drank.models.families import FAMILIES, blocks_of, family_of, module_path, projections_of
from drank.models.lowrank import LowRankLinear, convert, matrix_of
from drank.models.tensors import size_of, stored_tensors
from drank.models.weights import Checkpoint

pytestmark = pytest.mark.contract

Compress = Callable[..., tuple[PreTrainedModel, Plan]]


def logits_of(model: PreTrainedModel, tokens: torch.Tensor) -> torch.Tensor:
    """Logits without gradients or cache."""
    with torch.no_grad():
        return model(tokens, use_cache=False).logits


@pytest.fixture
def compress(tiny_model, tiny_plan, svd_factors) -> Compress:
    """Builds a tiny model, converts it by a plan (group, keep, dense), and gives both."""

    def build(family: str, *, group: int = 2, keep: float | None = 0.6, dense=(), **options):
        model = tiny_model(family, **options)
        plan = tiny_plan(model, group=group, keep=keep, dense=dense)
        convert(model, plan.groups, svd_factors(model, plan))
        return model, plan

    return build


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
    size, dense = size_of(tmp_path / "model"), size_of(tmp_path / "dense")
    assert size.parameters == sum(tensor.numel() for tensor in stored.values()) == sum(p.numel() for p in model.parameters())
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


def test_shared_basis_is_stored_once_and_stays_shared(family, compress, tokens, tmp_path):
    model, plan = compress(family, group=2)
    save(model, None, plan.groups, tmp_path / "model")
    bases = [name for name in stored_tensors(tmp_path / "model") if name.endswith("basis.weight")]
    assert len(bases) == len(plan.groups) < sum(len(group.shape.layers) for group in plan.groups)
    loaded = load_model(tmp_path / "model")
    for changed in (copy.deepcopy(loaded), loaded, load_model(tmp_path / "model").to(torch.bfloat16), copy.deepcopy(loaded).double()):
        low_rank = {name: module for name, module in changed.named_modules() if isinstance(module, LowRankLinear)}
        shared = next(group.shape for group in plan.groups if len(group.shape.layers) == 2)
        first, second = (low_rank[module_path(family, layer, shared.role)] for layer in shared.layers)
        assert first.owns_basis and not second.owns_basis
        x = torch.ones(1, second.in_features, dtype=changed.dtype)
        with torch.no_grad():
            before = second(x)
            first.basis.weight *= 2
            assert first.basis is second.basis
            assert not torch.equal(second(x), before)


def test_mutating_a_copy_leaves_the_original(family, compress, tokens):
    model, _ = compress(family)
    before = logits_of(model, tokens)
    twin = copy.deepcopy(model)
    for parameter in twin.parameters():
        parameter.data.zero_()
    assert torch.equal(logits_of(model, tokens), before)


def test_dtype_does_not_depend_on_the_way_to_it(family, compress, tokens, tmp_path):
    """RoPE frequencies are float32 whatever the weights are: a cast of the whole model would round them."""
    built, plan = compress(family, dtype=torch.bfloat16)
    save(built, None, plan.groups, tmp_path / "half")
    wide, _ = compress(family, dtype=torch.bfloat16)
    wide = wide.to(torch.float32)
    save(wide, None, plan.groups, tmp_path / "full")
    from_half, from_full = load_model(tmp_path / "half", "bfloat16"), load_model(tmp_path / "full", torch.bfloat16)
    assert torch.equal(logits_of(from_half, tokens), logits_of(from_full, tokens))
    for name, buffer in from_full.named_buffers():
        assert buffer.dtype == torch.float32 or "inv_freq" not in name
    up_half, up_full = load_model(tmp_path / "half", "float32"), load_model(tmp_path / "full")
    assert torch.equal(logits_of(up_half, tokens), logits_of(up_full, tokens))


def test_generation_with_the_cache_is_generation_without(family, compress, tokens, tmp_path):
    model, plan = compress(family)
    save(model, None, plan.groups, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    options = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "return_dict_in_generate": True, "output_logits": True}
    mask = torch.ones_like(tokens)
    cached, plain = (loaded.generate(tokens, attention_mask=mask, use_cache=cache, **options) for cache in (True, False))
    assert cached.sequences.shape == (2, tokens.shape[1] + 12)
    assert torch.equal(cached.sequences, plain.sequences)
    torch.testing.assert_close(torch.stack(cached.logits), torch.stack(plain.logits), rtol=1e-4, atol=1e-4)


def test_cast_model_runs(family, compress, tokens, tmp_path):
    model, plan = compress(family)
    save(model, None, plan.groups, tmp_path / "model")
    exact = logits_of(model, tokens)
    loaded = load_model(tmp_path / "model").to(torch.bfloat16)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
    error = (logits_of(loaded, tokens).float() - exact).norm() / exact.norm()
    assert error < 0.2
    assert logits_of(load_model(tmp_path / "model").half().float(), tokens).isfinite().all()


def test_a_process_without_drank_gets_an_error(compress, tmp_path):
    """All families in one process, at full rank, where a basis can have the very shape of the dense weight."""
    for family in FAMILIES:
        model, plan = compress(family, group=1, keep=None)
        save(model, None, plan.groups, tmp_path / family)
    for family in ("mixtral", "qwen3_moe"):  # no low-rank module but in the experts, which transformers fuses
        for kinds in ({"gate", "up", "down"}, {"gate"}, {"down"}):
            model, plan = compress(family, dense={"q", "k", "v", "o", "gate", "up", "down"} - kinds)
            save(model, None, plan.groups, tmp_path / "-".join([family, *kinds]))
    code = """
import sys
from transformers import AutoModelForCausalLM
outcomes = {}
for directory in sys.argv[1:]:
    try:
        AutoModelForCausalLM.from_pretrained(directory)
        outcomes[directory] = "loaded"
    except RuntimeError as error:
        words = ("mismatched", "automatic conversion")
        outcomes[directory] = "refused" if any(word in str(error) for word in words) else str(error)
assert "drank" not in sys.modules
assert set(outcomes.values()) == {"refused"}, outcomes
"""
    directories = sorted(map(str, tmp_path.iterdir()))
    assert len(directories) == len(FAMILIES) + 6
    done = subprocess.run([sys.executable, "-c", code, *directories], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("order", ["import drank, transformers", "import transformers, drank", "import transformers.modeling_utils, drank"])
def test_any_order_of_imports_loads(order, compress, tokens, tmp_path):
    model, plan = compress("llama")
    save(model, None, plan.groups, tmp_path / "model")
    code = f"""
{order}
import torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained({str(tmp_path / "model")!r})
print(model(torch.tensor({tokens.tolist()!r}), use_cache=False).logits.double().sum().item())
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(logits_of(model, tokens).double().sum().item(), rel=1e-5)


def test_truncated_and_corrupt_files_are_refused(compress, tmp_path):
    model, plan = compress("qwen3")
    directory = tmp_path / "model"
    save(model, None, plan.groups, directory)
    file = directory / "model.safetensors"
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], whole[:100], whole[:4], b"", whole + b"\0", b"\x10\0\0\0\0\0\0\0" + b"x" * 64):
        file.write_bytes(damaged)
        for read in (load_model, size_of):
            with pytest.raises(CheckpointError, match=r"model\.safetensors .*rerun `compress`"):
                read(directory)
    file.unlink()
    with pytest.raises(CheckpointError, match=r"missing: .*model\.safetensors"):
        load_model(directory)


def test_missing_shard_is_refused(compress, tmp_path):
    model, plan = compress("opt")
    save(model, None, plan.groups, tmp_path / "model", max_shard_size=8000)
    shard = sorted((tmp_path / "model").glob("*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(CheckpointError, match=shard.name):
        load_model(tmp_path / "model")


def test_wrong_tensors_are_refused_all_at_once(compress, tmp_path):
    model, plan = compress("llama")
    save(model, None, plan.groups, tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    query = "model.layers.0.self_attn.q_proj.coefficients.weight"
    tensors["model.layers.0.surplus.weight"] = torch.zeros(3)
    tensors["model.norm.weight"] = torch.full_like(tensors["model.norm.weight"], torch.nan)
    tensors[query] = tensors[query][:-1].contiguous()
    del tensors["model.layers.2.mlp.up_proj.basis.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError) as caught:
        load_model(tmp_path / "model")
    message = str(caught.value)
    assert "1 tensors missing: model.layers.2.mlp.up_proj.basis.weight" in message
    assert "1 tensors unexpected: model.layers.0.surplus.weight" in message
    assert f"1 tensors of another shape: {query}" in message
    assert "1 tensors not finite: model.norm.weight" in message
    assert str(tmp_path / "model") in message
    with pytest.raises(CheckpointError, match=r"lacks 1 tensors.*up_proj\.basis\.weight"):
        size_of(tmp_path / "model")


def test_config_that_does_not_fit_is_refused(compress, tmp_path):
    model, plan = compress("mistral")
    save(model, None, plan.groups, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    config["quantization_config"]["groups"][0]["rows"] += 1
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"q\.00-01: model\.layers\.0\.self_attn\.q_proj is 16 × 16, .* 17 × 16"):
        load_model(tmp_path / "model")
    config["quantization_config"]["format"] = 99
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="format 99"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3", "mixtral", "qwen3_moe"])
def test_lora_trains_and_merges_on_a_shared_basis(family, compress, tokens, tmp_path):
    """An adapter on a basis must act in every layer that reads it, before and after merging."""
    import peft

    model, plan = compress(family, group=2, dtype=torch.float64)
    save(model, None, plan.groups, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert torch.equal(logits_of(loaded, tokens), logits_of(model, tokens))
    torch.manual_seed(0)
    adapted = peft.get_peft_model(loaded, peft.LoraConfig(r=2, target_modules=["basis", "coefficients"], init_lora_weights=False))
    adapted(tokens, labels=tokens).loss.backward()
    assert all(parameter.grad.abs().max() > 0 for name, parameter in adapted.named_parameters() if "basis.lora_" in name)
    adapted.eval()
    expected = logits_of(adapted, tokens)
    assert (expected - logits_of(model, tokens)).abs().max() > 1e-2
    merged = adapted.merge_and_unload()
    torch.testing.assert_close(logits_of(merged, tokens), expected, rtol=1e-5, atol=1e-5)
    save(merged, None, plan.groups, tmp_path / "merged")
    assert torch.equal(logits_of(load_model(tmp_path / "merged"), tokens), logits_of(merged, tokens))
