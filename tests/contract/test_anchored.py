"""Every family: the anchored factors of AA-SVD, their ranks as planned, their budget unchanged, to a directory that generates."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from transformers import AutoModelForCausalLM

from drank.compression.anchoring import stages
from drank.models.checkpoint import load_model, save
from drank.models.conversion import store
from drank.models.families import blocks_of, family_of, kind_of, projections_of
from drank.models.lowrank import LowRankLinear
from drank.models.tensors import size_of
from drank.runtime.finite import NonFiniteError
from tests.contract import told_models
from tests.contract.forward import logits_of
from tests.contract.told_models import Measured, measure, unevenly_routed


@pytest.fixture(scope="session")
def measured(tiny_model, tmp_path_factory) -> Callable[..., Measured]:
    return told_models.measured(tiny_model, tmp_path_factory)


@pytest.mark.parametrize("group", [1, 2])
def test_a_model_with_anchored_factors_keeps_its_budget_and_generates_once_it_is_saved(group, family, measured, tokens, tmp_path):
    """Pivoted storage and dense groups included, and shared bases, which stay."""
    one = measured(family, group)
    plan = one.plan() if group == 1 else one.halved({"down"}, group)
    model, plain = one.convert(plan), one.convert(plan)
    one.refit(model, plan, "anchored", 1.0)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert {name: value.shape for name, value in model.state_dict().items()} == {n: v.shape for n, v in plain.state_dict().items()}
    assert (logits_of(model, tokens) - logits_of(plain, tokens)).abs().max() > 1e-4
    places = plan.by_place()
    for (layer, projection, module), (_, _, old) in zip(projections_of(model), projections_of(plain), strict=True):
        held = places[layer, projection.role]
        assert isinstance(module, LowRankLinear) != held.dense
        if isinstance(module, LowRankLinear):
            assert module.rank == held.rank
            assert torch.equal(module.basis.weight, old.basis.weight) == (len(held.shape.layers) > 1)
    store(model, plan.groups, {})
    save(model, None, plan.groups, tmp_path / "model")
    assert size_of(tmp_path / "model").ratio_stored == pytest.approx(1 - plan.parameters / plan.dense_parameters)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    torch.testing.assert_close(logits_of(loaded, tokens), logits_of(model, tokens), rtol=1e-4, atol=1e-4)
    written = loaded.generate(tokens[:, :8], max_new_tokens=4, min_new_tokens=4, do_sample=False)
    assert written.shape == (2, 12) and torch.equal(written[:, :8], tokens[:, :8])


def test_inputs_are_taken_in_the_order_in_which_a_block_computes_them(family, measured):
    """By the order in which the first projections of all inputs run; experts, of which each token reaches some, together."""
    one = measured(family)
    model, order = load_model(one.directory), []
    known = family_of(model.config)
    for projection in known.projections:
        module = blocks_of(model)[0].get_submodule(projection.path)
        module.register_forward_pre_hook(lambda *_, reads=projection.reads: order.append(kind_of(reads)))
    logits_of(model, one.windows)
    given = [projections for projections, _ in stages(known)]
    assert [kind_of(projections[0].reads) for projections in given] == list(dict.fromkeys(order))
    assert [projection for projections in given for projection in projections] == list(known.projections)


@pytest.mark.parametrize("mixture", ["mixtral", "qwen3_moe"])
def test_the_targets_of_experts_do_not_ask_what_the_dense_model_reads(mixture, measured, tokens):
    """With attention at full rank and experts cut, what experts of the first block read is the same in both models for any share."""
    one = measured(mixture)
    plan = one.halved({"q", "k", "v", "o"})
    models = [one.convert(plan) for _ in range(2)]
    for model, share in zip(models, (0.0, 1.0), strict=True):
        one.refit(model, plan, "anchored", share)
    parts = [model.model.layers[0].state_dict() for model in models]
    for name, value in parts[0].items():
        torch.testing.assert_close(value, parts[1][name], rtol=1e-3, atol=1e-4)
    assert (logits_of(models[0], tokens) - logits_of(models[1], tokens)).abs().max() > 1e-4


def test_an_expert_that_no_token_reaches_stays_as_it_was_converted(tiny_model, measured, tmp_path):
    unevenly_routed(tiny_model, tmp_path / "dense")
    one = measure(tmp_path / "dense", measured("mixtral").windows)
    plan = one.halved({"up"})
    model, start = one.convert(plan), one.convert(plan).state_dict()
    one.refit(model, plan, "anchored", 1.0)
    moved = [name for name, value in model.state_dict().items() if not torch.equal(value, start[name])]
    assert len({name.split(".experts.")[1][0] for name in moved if ".experts." in name}) == 2


def test_inputs_that_are_not_finite_name_the_layer_and_leave_no_hook(family, measured):
    one = measured(family)
    plan = one.halved()
    model = one.convert(plan)
    for parameter in blocks_of(model)[1].parameters():
        parameter.data.mul_(math.inf)
    with pytest.raises(NonFiniteError, match=r"layer 1: the moments of the input of (attention|heads) are not finite; run in float32"):
        one.refit(model, plan, "anchored", 1.0)
    assert all(not module._forward_pre_hooks for module in model.modules())
