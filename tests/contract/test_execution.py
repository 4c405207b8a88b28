"""A model that `drank.optimize` changed to be run says what it said, to the rounding of its precision, in every family and storage."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedModel

from drank.evaluation.tensor_memory import model_bytes, weight_bytes
from drank.models.checkpoint import load_model, save
from drank.models.execution import packing
from drank.models.execution.optimize import optimize
from drank.models.execution.projections import Projection
from drank.models.lowrank import LowRankLinear
from drank.models.rounding import round_projections
from tests.contract.conftest import CONFIGS

pytestmark = pytest.mark.filterwarnings("ignore:.*cache_implementation")

TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 6e-2, torch.float16: 6e-3}
"""Of the largest logit; the precision's rounding, through three layers."""


def said(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=ids).logits.float()


def close(found: torch.Tensor, known: torch.Tensor, dtype: torch.dtype) -> None:
    assert (found - known).abs().max() <= TOLERANCE[dtype] * known.abs().max()


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_a_fused_model_says_what_it_said(compress, tokens, family, group, dtype) -> None:
    model, _ = compress(family, group=group, keep=0.3)
    exact = said(model.double(), tokens)
    model.to(dtype)
    plain = said(model, tokens)
    fused = said(optimize(model), tokens)
    far, near = (
        (one - exact).square().mean().sqrt() for one in (fused, plain)
    )  # a few tokens that a rounding routes elsewhere decide no mean
    assert far <= 1.5 * near + 1e-6 * exact.abs().max(), "no farther from the exact logits than plain rounding takes it"
    assert not any(isinstance(module, LowRankLinear) for module in model.modules())
    short = (said(model, tokens[:1, :3]) - exact[:1, :3]).square().mean().sqrt()  # too few rows for products in float32
    assert short <= 3 * near + 1e-6 * exact.abs().max()


@pytest.mark.parametrize("padded", [packing.PADDED, 1e6], ids=["as usual", "packed"])
def test_a_fused_model_decodes_what_it_decoded(compress, tokens, family, padded, monkeypatch) -> None:
    """Packed or not: the layout of weights as small as these is many times as large."""
    usual = packing.PADDED
    monkeypatch.setattr(packing, "PADDED", padded)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)  # with one, float32 is not packed
    model, _ = compress(family)
    told: dict[str, Any] = {"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False, "attention_mask": torch.ones_like(tokens)}
    before = model.generate(tokens, **told)
    assert torch.equal(optimize(model).generate(tokens, **told), before)
    if padded > usual and torch.backends.mkldnn.is_available():
        assert model.execution.packed > 3 * 4
        assert torch.equal(copy.deepcopy(model).generate(tokens, **told), before)


def test_projections_that_read_one_input_run_together(compress, storage) -> None:
    model, _ = compress("llama", group=2, keep=0.3)
    done = optimize(model).execution
    attention = [f"model.layers.0.self_attn.{role}_proj" for role in "qkv"]
    assert tuple(attention) in done.joined
    assert ("model.layers.2.mlp.gate_proj", "model.layers.2.mlp.up_proj") in done.joined
    first, second = (model.get_submodule(f"model.layers.{layer}.self_attn.q_proj") for layer in (0, 1))
    assert isinstance(first, Projection) and first.bases is second.bases, "layers that share a basis share what is joined of it"
    assert done.folded == ([f"model.layers.{layer}.mlp.down_proj" for layer in range(3)] if storage == "pivoted" else [])
    assert done.bytes_after <= done.bytes_before + (0 if storage == "factors" else 3 * 7 * 16 * 8), "nothing is held twice, but for indices"


def test_a_shared_basis_is_read_by_every_layer_that_has_it(compress, storage) -> None:
    model, plan = compress("llama", group=2, keep=0.3)
    read, stored = weight_bytes(model), model_bytes(model) - model_bytes(model.model.embed_tokens)
    again = sum(
        group.rank * (16 - (group.rank if storage == "pivoted" else 0)) * 4 + (16 * 8 if storage == "pivoted" else 0)
        for group in plan.groups
        for _ in group.shape.layers[1:]
    )
    assert read == stored + again
    indices = 0 if storage == "factors" else 9 * 3 * 16 * 8
    assert abs(weight_bytes(optimize(model)) - read) <= indices, "run together they read the same, but for the order of the pivots"


def test_what_costs_more_in_two_factors_runs_as_a_matrix(compress, tokens, storage) -> None:
    model, _ = compress("llama", group=1, keep=1.0)
    known = said(model, tokens)
    done = optimize(model).execution
    assert len(done.dense) == 3 * 7
    assert done.bytes_after < done.bytes_before
    close(said(model, tokens), known, torch.float32)


def test_a_shared_basis_above_the_smaller_side_runs_as_matrices(compress, tokens, storage) -> None:
    """Keys and values of grouped queries are narrow, and the rank of several of them together is past the width of one."""
    model, plan = compress("llama", group=2, keep=0.6, num_key_value_heads=1)
    known = said(model, tokens)
    wide = {
        group.shape.name: group.rank * (group.shape.rows + group.shape.columns - (group.rank if storage == "pivoted" else 0))
        >= group.shape.rows * group.shape.columns
        for group in plan.groups
    }
    done = optimize(model).execution
    assert {name.rpartition(".")[2] for name in done.dense} >= {"k_proj", "v_proj"}
    assert len(done.dense) == sum(len(group.shape.layers) for group in plan.groups if wide[group.shape.name])
    close(said(model, tokens), known, torch.float32)


@pytest.mark.parametrize("kind", ["q", "up", "down", "gate"])
def test_kinds_that_are_left_dense_take_part_where_they_must(compress, tokens, kind) -> None:
    model, _ = compress("llama", dense=[kind])
    known = said(model, tokens)
    close(said(optimize(model), tokens), known, torch.float32)


def test_a_projection_called_alone_again_or_with_another_input_is_right(compress) -> None:
    model, _ = compress("llama", keep=0.3)
    plain = copy.deepcopy(model)
    optimize(model)
    x, y = torch.randn(2, 1, 5, 16)
    attention, before = model.model.layers[0].self_attn, plain.model.layers[0].self_attn
    with torch.inference_mode():
        for role, given in [("k", x), ("k", x), ("q", x), ("q", y), ("v", x), ("v", y), ("k", y)]:
            found, known = (getattr(one, f"{role}_proj")(given) for one in (attention, before))
            torch.testing.assert_close(found, known, atol=1e-5, rtol=1e-5)


def test_nothing_of_an_input_is_kept(compress, tokens) -> None:
    model, _ = compress("llama", keep=0.3)
    said(optimize(model), tokens)
    for module in model.modules():
        if isinstance(module, Projection):
            assert module.bases._held == [None, []]


def test_a_dense_model_whose_blocks_differ_from_its_family_is_run_too() -> None:
    config = AutoConfig.for_model("mixtral", **CONFIGS["mixtral"])
    optimize(AutoModelForCausalLM.from_config(config).eval())  # its experts are fused
    optimize(AutoModel.from_config(AutoConfig.for_model("llama", **CONFIGS["llama"])).eval())


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt"])
def test_a_base_model_is_run_too(compress, tokens, family, tmp_path) -> None:
    model, plan = compress(family)
    save(model, None, plan.groups, tmp_path / "model")
    base = AutoModel.from_pretrained(tmp_path / "model").eval()
    with torch.inference_mode():
        known = base(input_ids=tokens).last_hidden_state
        found = optimize(base)(input_ids=tokens).last_hidden_state
    assert not any(isinstance(module, LowRankLinear) for module in base.modules())
    close(found, known, torch.float32)


def test_what_runs_as_a_matrix_is_as_exact_as_its_precision(compress, tokens) -> None:
    model, _ = compress("llama", group=1, keep=1.0, dtype=torch.float64)
    known = said(model, tokens)
    with torch.inference_mode():
        exact, found = model(input_ids=tokens).logits, optimize(model)(input_ids=tokens).logits
    assert (found - exact).abs().max() <= 1e-12 * known.abs().max()


def test_a_dense_model_is_run_too(tiny_model, tokens, family) -> None:
    model = tiny_model(family, dtype=torch.bfloat16)
    known = said(model, tokens)
    assert (said(optimize(model), tokens) - known).square().mean().sqrt() <= 0.03 * known.abs().max()


@pytest.mark.parametrize("used", [False, True], ids=["packed", "unpacked by use"])
@pytest.mark.parametrize("bits", [4, 8])
def test_what_another_tool_packed_runs_as_that_runs_it(bits, used, tiny_model, tokens, tmp_path) -> None:
    pytest.importorskip("compressed_tensors")
    model = tiny_model("llama", hidden_size=32, intermediate_size=64)
    describe = round_projections(model, bits, 32)
    save(model, None, None, tmp_path / "rounded", documents=lambda folder: describe(str(folder)) or {})
    plain, fused = (load_model(tmp_path / "rounded", "float32").eval() for _ in range(2))
    known = said(plain, tokens)
    if used:
        said(fused, tokens)
    with pytest.raises(ValueError, match="unpacks them in Python; run it fused"):
        optimize(fused, "compiled")
    assert torch.equal(said(optimize(fused), tokens), known)
