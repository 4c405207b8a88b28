"""LoRA on the factors: it lowers the training loss, repeats itself, and leaves ranks, sharing and form of the model as they were."""

from __future__ import annotations

import copy
import itertools
import logging
import math

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from drank.allocation.plan import Plan
from drank.compression.finetune import OPTIONS, factor_names, finetune, learning_rate
from drank.models.checkpoint import load_model, save
from drank.models.conversion import convert
from drank.models.families import projections_of
from drank.models.groups import Group, Shape
from drank.models.lowrank import LowRankLinear
from drank.runtime.finite import NonFiniteError

FAST = {"learning_rate": 2e-3, "epochs": 4, "batch": 4}


def shapes():
    """Q, K, V and up in pairs of two layers, the rest alone."""
    sides = {"q": (16, 16), "k": (16, 16), "v": (16, 16), "o": (16, 16), "gate": (16, 40), "up": (16, 40), "down": (40, 16)}
    pairs = {"q", "k", "v", "up"}
    return [Shape(role, layers, *side) for role, side in sides.items() for layers in ([(0, 1)] if role in pairs else [(0,), (1,)])]


def compressed(dtype=torch.float32, rank=5, dense=("down",)):
    """A random two-layer LLaMA whose projections are truncated by plain SVD, and the plan that did it."""
    config = LlamaConfig(
        vocab_size=61, hidden_size=16, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, initializer_range=0.3
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    weights = {(projection.role, layer): module.weight.detach().double().mT for layer, projection, module in projections_of(model)}
    plan = Plan("tiny", "test", 0.4, {}, tuple(Group(shape, 1.0, rank, shape.role in dense) for shape in shapes()))
    factors = {}
    for group in plan.groups:
        if not group.dense:
            u, s, vh = torch.linalg.svd(torch.cat([weights[group.shape.role, layer] for layer in group.shape.layers], dim=1))
            factors[group.shape.name] = (u[:, :rank] * s[:rank], vh[:rank])
    convert(model, plan.groups, factors)
    return model, plan


@pytest.fixture(scope="module")
def windows():
    return torch.randint(0, 61, (10, 12), generator=torch.Generator().manual_seed(1))


def loss_of(model, windows):
    with torch.no_grad():
        logits = model(windows).logits[:, :-1].double()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()).item()


def test_defaults_are_the_papers():
    assert {key: OPTIONS[key] for key in ("rank", "alpha", "learning_rate", "epochs")} == {
        "rank": 8,
        "alpha": 32,
        "learning_rate": 1e-4,
        "epochs": 2,
    }


def test_every_basis_once_and_all_coefficients_are_adapted():
    names = factor_names(compressed()[0])
    assert len(names) == len(set(names)) == (4 + 2 * 2) + 2 * 6, (
        "bases of four pairs and two single roles, coefficients of six roles in two layers"
    )
    assert "model.layers.0.self_attn.q_proj.basis" in names
    assert "model.layers.1.self_attn.q_proj.basis" not in names
    assert not [name for name in names if "down_proj" in name or "lm_head" in name]


def test_training_lowers_the_loss_and_changes_the_factors_alone(windows):
    model, _ = compressed()
    before, state = loss_of(model, windows), copy.deepcopy(model.state_dict())
    tuned = finetune(model, windows, FAST)
    assert loss_of(tuned, windows) < before - 0.05
    after = tuned.state_dict()
    assert after.keys() == state.keys()
    assert {name: value.shape for name, value in after.items()} == {name: value.shape for name, value in state.items()}
    changed = {name.removesuffix(".weight") for name, value in after.items() if not torch.equal(value, state[name])}
    assert changed == set(factor_names(tuned))


def test_default_settings_train_too(windows):
    model, _ = compressed()
    before = loss_of(model, windows)
    assert loss_of(finetune(model, windows, {}), windows) < before


def test_same_seed_same_factors_and_no_trace_on_the_random_numbers_of_others(windows):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    options = FAST | {"dropout": 0.1}
    first, second = (finetune(compressed()[0], windows, options) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    third = finetune(compressed()[0], windows, options | {"seed": 14})
    states = [model.state_dict() for model in (first, second, third)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tuned_model_is_saved_like_any_other(dtype, windows, tmp_path):
    model, plan = compressed(dtype)
    size = sum(parameter.numel() for parameter in model.parameters())
    tuned = finetune(model, windows, FAST)
    assert sum(parameter.numel() for parameter in tuned.parameters()) == size
    assert not tuned.training and all(parameter.requires_grad for parameter in tuned.parameters())
    low_rank = {name: module for name, module in tuned.named_modules() if isinstance(module, LowRankLinear)}
    owner, borrower = (low_rank[f"model.layers.{layer}.self_attn.q_proj"] for layer in (0, 1))
    assert owner.basis is borrower.basis and type(owner.basis) is torch.nn.Linear and owner.rank == plan.groups[0].rank
    save(tuned, None, plan.groups, tmp_path / "model", documents={"plan.json": plan.to_json()})
    loaded = load_model(tmp_path / "model")
    assert loaded.dtype == dtype
    with torch.no_grad():
        assert torch.equal(loaded(windows).logits, tuned(windows).logits)
    assert Plan.read(tmp_path / "model" / "plan.json") == plan


def test_gradients_do_not_depend_on_how_much_is_held_at_once(windows, monkeypatch):
    whole = finetune(compressed(torch.float64)[0], windows, FAST).state_dict()
    monkeypatch.setattr("drank.compression.finetune.TOKENS_AT_ONCE", 1)
    parts = finetune(compressed(torch.float64)[0], windows, FAST).state_dict()
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-6)


def test_learning_rate_rises_over_the_first_steps_and_falls_to_nearly_zero():
    shares = [learning_rate(step, 100) for step in range(100)]
    assert shares[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert max(shares) == shares[4]
    assert all(math.isclose(a - b, shares[98] - shares[99]) for a, b in itertools.pairwise(shares[4:]))
    assert 0 < shares[-1] < 0.02
    assert learning_rate(0, 1) == 1.0


def test_the_log_tells_the_loss_of_each_epoch(windows, caplog):
    caplog.set_level(logging.INFO, "drank")
    finetune(compressed()[0], windows, FAST)
    told = [record.getMessage() for record in caplog.records if "mean loss" in record.getMessage()]
    assert [line.split(":")[0] for line in told] == [f"fine-tuning, epoch {epoch} of 4" for epoch in (1, 2, 3, 4)]


def test_what_is_trained_is_the_loss_of_the_next_token(windows, caplog):
    """With a rate too small to move anything, the mean loss of the epoch is the model's own, not that of the token it has just read."""
    caplog.set_level(logging.INFO, "drank")
    model, _ = compressed()
    with torch.no_grad():
        expected = model(windows, labels=windows, use_cache=False).loss.item()
        other = torch.nn.functional.cross_entropy(model(windows).logits.flatten(0, 1), windows.flatten()).item()
    finetune(model, windows, {"epochs": 1, "learning_rate": 1e-12, "batch": len(windows)})
    (told,) = (record.args[2] for record in caplog.records if "mean loss" in record.msg)
    assert told == pytest.approx(expected, rel=1e-5)
    assert abs(told - other) > 1e-2


def test_a_loss_that_is_no_number_names_the_step(windows):
    model, _ = compressed()
    model.lm_head.weight.data[3, 2] = math.inf
    with pytest.raises(NonFiniteError, match=r"step 1 of 6: the loss is (nan|inf).*learning_rate.*float32"):
        finetune(model, windows, {"batch": 4})


def test_a_dense_model_is_refused(windows):
    model = AutoModelForCausalLM.from_config(
        LlamaConfig(vocab_size=61, hidden_size=16, intermediate_size=40, num_hidden_layers=1, num_attention_heads=4)
    )
    with pytest.raises(ValueError, match="no low-rank projections"):
        finetune(model, windows, {})
