"""What L-Rank adds to the pipeline, on every family: the compensated refit and the corrections, to a directory that generates."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from drank.models.checkpoint import load_model, save
from drank.models.conversion import store
from drank.models.families import family_of, kind_of, projections_of
from drank.models.lowrank import LowRankLinear
from drank.models.tensors import size_of
from drank.models.weights import Checkpoint
from tests.contract import told_models
from tests.contract.forward import logits_of
from tests.contract.told_models import RATIO, Measured, measure, unevenly_routed


@pytest.fixture(scope="session")
def measured(tiny_model, tmp_path_factory) -> Callable[..., Measured]:
    return told_models.measured(tiny_model, tmp_path_factory)


def shapes_of(model: PreTrainedModel) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}


def test_a_refitted_and_corrected_model_keeps_its_budget_and_generates_once_it_is_saved(family, measured, tokens, tmp_path):
    one = measured(family)
    plan = one.plan()
    model, plain = one.convert(plan), one.convert(plan)
    before = shapes_of(model)
    one.refit(model, plan)
    refitted = logits_of(model, tokens)
    found = one.correct(model)
    assert shapes_of(model) == before
    assert found[1] < found[0]
    assert refitted.isfinite().all() and (refitted - logits_of(plain, tokens)).abs().max() > 1e-4
    store(model, plan.groups, {})
    save(model, None, plan.groups, tmp_path / "model")
    size = size_of(tmp_path / "model")
    assert size.ratio_stored >= RATIO and size.ratio_stored == pytest.approx(1 - plan.parameters / plan.dense_parameters)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    expected = model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())
    torch.testing.assert_close(logits_of(loaded, tokens), logits_of(model, tokens), rtol=1e-4, atol=1e-4)
    written = loaded.generate(tokens[:, :8], max_new_tokens=4, min_new_tokens=4, do_sample=False)
    assert written.shape == (2, 12) and torch.equal(written[:, :8], tokens[:, :8])


def test_whole_projections_are_refitted_and_corrected_in_the_way_the_family_stores_them(family, measured, tokens):
    """Conv1D, views of fused experts: with every other kind stored dense, all of it moves and nothing else does."""
    one = measured(family)
    kinds = dict.fromkeys(kind_of(role) for role in family_of(Checkpoint(one.directory).config).roles)
    whole = set(list(kinds)[::2])
    plan = one.halved(whole)
    model = one.convert(plan)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    one.refit(model, plan)
    refitted = {name: value.clone() for name, value in model.state_dict().items()}
    found = one.correct(model)
    assert found[1] < found[0]
    moved = set()
    for (layer, projection, module), (_, _, dense) in zip(projections_of(model), projections_of(load_model(one.directory)), strict=True):
        assert isinstance(module, LowRankLinear) != (kind_of(projection.role) in whole)
        if not isinstance(module, LowRankLinear) and layer > 0 and not torch.equal(module.weight, dense.weight):
            moved.add(kind_of(projection.role))
    assert moved == whole
    factors = {name for name in start if not torch.equal(start[name], model.state_dict()[name])}
    inside = f"{family_of(model.config).blocks}."
    assert all(name.startswith(inside) and "norm" not in name and "ln_" not in name and "bias" not in name for name in factors)
    assert any(not torch.equal(refitted[name], model.state_dict()[name]) for name in factors)
    assert logits_of(model, tokens).isfinite().all()


@pytest.mark.parametrize("mixture", ["mixtral", "qwen3_moe"])
def test_the_targets_of_experts_do_not_ask_what_the_dense_model_reads(mixture, measured):
    """In the first block, whose inputs come before any refit, the share says something of attention and nothing of experts."""
    one = measured(mixture)
    plan = one.halved()
    models = [one.convert(plan) for _ in range(2)]
    for model, share in zip(models, (0.0, 1.0), strict=True):
        one.refit(model, plan, share=share)
    parts = [model.model.layers[0].state_dict() for model in models]
    differ = {name for name in parts[0] if not torch.equal(parts[0][name], parts[1][name])}
    assert differ and not any("experts" in name for name in differ)


def test_an_expert_that_no_token_reaches_stays_as_it_was_converted(tiny_model, measured, tmp_path):
    unevenly_routed(tiny_model, tmp_path / "dense")
    one = measure(tmp_path / "dense", measured("mixtral").windows)
    plan = one.halved({"up"})
    model, start = one.convert(plan), one.convert(plan).state_dict()
    one.refit(model, plan)
    found = one.correct(model)
    assert found[1] < found[0]
    moved = [name for name, value in model.state_dict().items() if not torch.equal(value, start[name])]
    assert len({name.split(".experts.")[1][0] for name in moved if ".experts." in name}) == 2
    assert all(value.isfinite().all() for value in model.state_dict().values())
