"""Every family: a loaded model is like any other, to copy, cast, generate from and train, and its bases stay shared."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from drank.models.checkpoint import load_model, save
from drank.models.families import module_path
from drank.models.lowrank import LowRankLinear
from drank.models.tensors import stored_tensors
from tests.contract.forward import logits_of


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
