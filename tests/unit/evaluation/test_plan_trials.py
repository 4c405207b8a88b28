"""The choice of Swift-SVD's mix against a plain loop that compresses and measures with every mix."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from drank.allocation.allocate import allocate
from drank.allocation.evidence import Evidence
from drank.allocation.selection import best_mix, plans_by_mix
from drank.evaluation import plan_trials as trials
from drank.evaluation.plan_trials import try_plans
from drank.models.conversion import convert
from drank.models.weights import Checkpoint

SETTINGS = {"allocator": "importance-loss", "floor": 0.3}
MIXES = ["0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1"]


class Bed:
    """A random dense model, validation windows, and evidence whose importance and losses disagree."""

    def __init__(self, folder, monkeypatch, similarities):
        config = LlamaConfig(
            vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4, initializer_range=0.3
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.model = AutoModelForCausalLM.from_config(config).eval()
        self.model.save_pretrained(folder)
        self.checkpoint = Checkpoint(folder)
        self.windows = torch.randint(0, 61, (6, 12), generator=torch.Generator().manual_seed(1))
        shapes = self.checkpoint.shapes(1)
        rng = np.random.default_rng(3)
        energies = {s.name: np.sort(rng.lognormal(sigma=1 + s.layers[0], size=s.max_rank))[::-1].copy() for s in shapes}
        self.evidence = Evidence(shapes, energies, similarities=similarities)
        self.asked = []
        monkeypatch.setattr(trials, "factors_of", self.factors_of)

    def factors_of(self, checkpoint, plan, spectra):
        self.asked.append((plan, spectra))
        result = {}
        for group in plan.groups:
            if not group.dense:
                u, s, vh = torch.linalg.svd(checkpoint.group_matrix(group.shape), full_matrices=False)
                result[group.shape.name] = (u[:, : group.rank] * s[: group.rank], vh[: group.rank])
        return result

    def plan(self, mix, settings):
        return allocate(self.evidence, 0.4, {**settings, "mix": float(mix)}, model="tiny", method="swift-svd")

    def choose(self, settings):
        plans = plans_by_mix(self.evidence, 0.4, settings, model="tiny", method="swift-svd")
        return try_plans(self.model, self.checkpoint, "spectra", plans, self.windows, 4)


@pytest.fixture
def bed(tmp_path, monkeypatch):
    return lambda similarities=(0.2, 0.9, 0.5, 0.7): Bed(tmp_path / "model", monkeypatch, similarities)


@pytest.mark.parametrize("extra", [{}, {"dense_past_break_even": True, "floor": 0.0}])
def test_every_value_is_that_of_a_model_compressed_with_the_mix(bed, extra):
    it, settings = bed(), SETTINGS | extra
    found = it.choose(settings)
    assert list(found) == MIXES
    plans = [it.plan(mix, settings) for mix in MIXES]
    assert len({plan.groups for plan in plans}) > 3, "mixes must differ, or this test compares nothing"
    expected = []
    for plan in plans:
        twin = copy.deepcopy(it.model)
        convert(twin, plan.groups, it.factors_of(it.checkpoint, plan, None))
        with torch.no_grad():
            logits = twin.double()(it.windows).logits[:, :-1]
        expected.append(math.exp(torch.nn.functional.cross_entropy(logits.flatten(0, 1), it.windows[:, 1:].flatten()).item()))
    assert list(found.values()) == pytest.approx(expected, rel=1e-4)
    assert best_mix(found) == float(MIXES[expected.index(min(expected))])


def test_factors_are_made_once_with_the_largest_ranks(bed):
    it = bed()
    it.choose(SETTINGS)
    ((asked, spectra),) = it.asked
    plans = [it.plan(mix, SETTINGS) for mix in MIXES]
    assert spectra == "spectra"
    assert [group.rank for group in asked.groups] == [
        max(ranks) for ranks in zip(*([g.rank for g in p.groups] for p in plans), strict=True)
    ]


def test_plans_that_coincide_are_measured_once(bed, monkeypatch):
    it, calls = bed(), []
    measure = trials.window_losses
    monkeypatch.setattr(trials, "window_losses", lambda *args: calls.append(args[2]) or measure(*args))
    found = it.choose({"allocator": "uniform"})
    assert calls == ["the validation text under plan 0"]
    assert len(set(found.values())) == 1 and list(found) == MIXES
    assert best_mix(found) == 0.0


def test_the_model_is_as_before(bed):
    it = bed()
    parameters, before = dict(it.model.named_parameters()), copy.deepcopy(it.model.state_dict())
    it.choose(SETTINGS)
    assert {name: id(value) for name, value in it.model.named_parameters()} == {name: id(value) for name, value in parameters.items()}
    assert all(torch.equal(value, before[name]) for name, value in it.model.state_dict().items())
    assert getattr(it.model.config, "quantization_config", None) is None


def test_ties_go_to_the_smaller_mix():
    assert best_mix({"1": 7.0, "0.3": 5.0, "0.2": 5.0, "0": 5.1}) == 0.2
