"""Corrections that lead away: taken again with shorter steps, and left out where none better a model."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from drank.compression import passes
from drank.compression.correction import correct, leaving_states
from drank.compression.passes import SHORTER, Passes
from drank.runtime.finite import NonFiniteError
from tests.unit.compression.test_correction import kl_at_the_end


def long_steps(monkeypatch, rate):
    """Steps that are far too long at first, as where one step by itself lowers the divergence and many do not."""
    monkeypatch.setattr(Passes, "choose_rate", lambda self, *_: setattr(self, "rate", rate))


@pytest.mark.parametrize("count", [1, 2])
def test_passes_that_lead_away_are_taken_again_with_shorter_steps(count, toy, monkeypatch, caplog):
    long_steps(monkeypatch, 0.3)
    model = toy.compressed(toy.plan(4))
    found = correct(model, leaving_states(toy.dense(), toy.windows), toy.windows, count)
    assert "taken again, with steps 4 times as short" in caplog.text and "left out" not in caplog.text
    assert len(found) == count + 1 and found[-1] < found[0]
    assert kl_at_the_end(model, toy.dense(), toy.windows) == pytest.approx(found[-1], rel=1e-6)


def test_a_model_that_no_steps_better_is_left_as_it_was(toy, monkeypatch, caplog):
    long_steps(monkeypatch, 1e3)
    model = toy.compressed(toy.plan(4))
    before = copy.deepcopy(model).state_dict()
    found = correct(model, leaving_states(toy.dense(), toy.windows), toy.windows, 1)
    assert found[-1] == found[0] and caplog.text.count("taken again") == 2 and "left out" in caplog.text
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("count", [1, 2])
def test_steps_that_lead_to_no_number_are_taken_again_too(count, toy, monkeypatch, caplog):
    """In the middle of a pass, or at the end of the first of two."""
    long_steps(monkeypatch, 0.01)
    real, calls = Passes.take, []

    def once(self, model, *arguments):
        calls.append(self.rate)
        if len(calls) == 1:
            raise NonFiniteError("correction 1, step 2 of 3: the divergence is nan")
        real(self, model, *arguments)

    monkeypatch.setattr(Passes, "take", once)
    model = toy.compressed(toy.plan(4))
    found = correct(model, leaving_states(toy.dense(), toy.windows), toy.windows, count)
    assert calls == [0.01, *[0.01 / SHORTER] * count] and "step 2 of 3: the divergence is nan" in caplog.text
    assert len(found) == count + 1 and found[-1] < found[0] and all(map(math.isfinite, found))


def test_a_divergence_that_stays_no_number_is_an_error(toy, monkeypatch):
    long_steps(monkeypatch, 0.01)
    monkeypatch.setattr(passes, "leave_gradients", lambda *_: math.nan)
    with pytest.raises(NonFiniteError, match="correction 1, step 1 of 3: the divergence is nan; run in float32"):
        correct(toy.compressed(toy.plan(4)), leaving_states(toy.dense(), toy.windows), toy.windows, 2)


def test_where_no_step_lowers_the_divergence_no_pass_is_taken(toy, monkeypatch, caplog):
    monkeypatch.setattr(passes, "RATE", 1e6)
    monkeypatch.setattr(Passes, "take", lambda *_: pytest.fail("a pass was taken"))
    model = toy.compressed(toy.plan(4))
    before = copy.deepcopy(model).state_dict()
    found = correct(model, leaving_states(toy.dense(), toy.windows), toy.windows, 2)
    assert found[0] == found[-1] and "no step of a correction lowers the divergence" in caplog.text
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
