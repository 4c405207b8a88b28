"""The search for the size of a correction: on windows of its own, doubling while the loss falls, taken back where nothing helps."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import drank.compression.correction
from drank.compression.correction import DOUBLINGS, FIRST, Direction, _search, correct, leaving_states


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (2, 1), (12, 3), (80, 16)])
def test_sizes_are_searched_on_the_last_windows_and_directions_come_from_the_others(count, kept, toy, monkeypatch):
    """Each with the states that the dense model leaves for it; one window alone serves both."""
    windows = torch.randint(0, 50, (count, 4), generator=torch.Generator().manual_seed(3))
    dense, passed = toy.dense(), []
    states = torch.stack(leaving_states(dense, windows))

    def gradients(_model, seen, *_args, reference, **_kwargs):
        passed.append(("seen", seen, torch.stack(reference[: len(seen)])))

    def divergence(_model, searched, reference, *_args):
        passed.append(("searched", searched, torch.stack(list(reference))))
        return 1.0

    monkeypatch.setattr(drank.compression.correction, "collect", gradients)
    monkeypatch.setattr(drank.compression.correction, "calibrate", lambda *_args: passed.append(("seen", _args[1], None)))
    monkeypatch.setattr(drank.compression.correction, "directions_of", lambda *_args: [])
    monkeypatch.setattr(drank.compression.correction, "divergence_of", divergence)
    assert correct(toy.compressed(toy.plan(4)), dense, windows, 1) == [1.0, 1.0]
    assert [kind for kind, *_ in passed] == ["searched", "seen", "seen"]
    for kind, ids, reference in passed:
        at = slice(count - kept, None) if kind == "searched" else slice(0, count - kept if count > 1 else 1)
        assert torch.equal(ids, windows[at]) and (reference is None or torch.equal(reference, states[at]))


def test_where_no_size_helps_every_parameter_is_as_it_was_and_no_more_is_tried(toy, monkeypatch):
    model = toy.compressed(toy.plan(4, dense=["o.01"]))
    before, calls = copy.deepcopy(model).state_dict(), []

    def rising(*_args):
        calls.append(1)
        return float(len(calls))

    monkeypatch.setattr(drank.compression.correction, "divergence_of", rising)
    assert correct(model, toy.dense(), toy.windows, 5) == [1.0, 1.0]
    assert len(calls) == 2, "the start and one size"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("worse", [math.nan, math.inf])
def test_a_size_that_breaks_the_model_is_taken_back(worse, toy, monkeypatch):
    model = toy.compressed(toy.plan(4))
    before, values = copy.deepcopy(model).state_dict(), iter([1.0, worse])
    monkeypatch.setattr(drank.compression.correction, "divergence_of", lambda *_args: next(values))
    assert correct(model, toy.dense(), toy.windows, 1) == [1.0, 1.0]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@given(st.floats(0.01, 100), st.floats(0.01, 50), st.integers(0, 1000))
def test_sizes_double_from_a_fortieth_of_the_way_while_the_loss_falls(curvature, distance, seed):
    """On a parabola: the slope is known, the first size aims at a fortieth of the loss, and the best of those tried is taken."""
    generator = torch.Generator().manual_seed(seed)
    parameter, step = (torch.randn(3, 2, dtype=torch.float64, generator=generator) for _ in range(2))
    start, tried = parameter.clone(), []

    def loss(*_args) -> float:
        moved = ((start - parameter) * step).sum() / (step * step).sum()
        tried.append(moved.item())
        return curvature * (distance - moved.item()) ** 2

    before = curvature * distance**2
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(drank.compression.correction, "divergence_of", loss)
        taken, lowest = _search(None, [Direction(parameter, step, 2 * curvature * distance)], torch.zeros(1, 2), [], 1, before)
    first = 0.025 * before / (2 * curvature * distance)
    assert FIRST == 0.025 and tried == pytest.approx([first * 2**power for power in range(len(tried))], rel=1e-6)
    assert len(tried) <= DOUBLINGS + 1
    values = [curvature * (distance - size) ** 2 for size in tried]
    assert lowest == pytest.approx(min([before, *values]), rel=1e-6, abs=1e-9) and lowest < before
    torch.testing.assert_close(parameter, start - taken * step)


def test_a_direction_that_leads_up_is_not_tried(monkeypatch):
    monkeypatch.setattr(drank.compression.correction, "divergence_of", lambda *_args: pytest.fail("tried"))
    parameter, step = torch.ones(2, 2), torch.ones(2, 2)
    assert _search(None, [Direction(parameter, step, -1.0)], torch.zeros(1, 2), [], 1, 0.5) == (0.0, 0.5)
    assert torch.equal(parameter, torch.ones(2, 2))
