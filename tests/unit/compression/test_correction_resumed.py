"""Corrections that were interrupted: gone on with in every bit, in the folder that they were given."""

from __future__ import annotations

import tempfile

import pytest
import torch

from drank.compression import passes
from drank.compression.correction import correct, leaving_states
from drank.models.families import projections_of
from drank.models.lowrank import LowRankLinear
from tests.unit.compressed_llama import measured
from tests.unit.compression.test_correction_retaken import long_steps


def breaking(after):
    """What leaves gradients so many times, and then is interrupted."""
    real, calls = passes.leave_gradients, []

    def leave(*arguments):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return real(*arguments)

    return leave


@pytest.mark.parametrize("after", [0, 1, 3, 4, 9])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_interrupted_corrections_go_on(dtype, after, tmp_path, monkeypatch):
    """While the length of steps is chosen, in each of three passes of three steps, and after two of them."""
    toy = measured(tmp_path / "toy", dtype=dtype)
    plan = toy.plan(4, dense=["o.01"])
    whole = toy.compressed(plan)
    found = correct(whole, leaving_states(toy.dense(), toy.windows, 4), toy.windows, 3, batch=4)
    real, calls = passes.leave_gradients, []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with monkeypatch.context() as patched:
        patched.setattr(passes, "leave_gradients", breaking(after))
        with pytest.raises(KeyboardInterrupt):
            correct(toy.compressed(plan), leaving_states(toy.dense(), toy.windows, 4), toy.windows, 3, batch=4, work=tmp_path / "work")
    model = toy.compressed(plan)
    for _, _, module in projections_of(model):  # what preceded the passes need not be done again
        (module.coefficients if isinstance(module, LowRankLinear) else module).weight.data.mul_(2)
    with monkeypatch.context() as patched:
        calls.clear()
        patched.setattr(passes, "leave_gradients", lambda *arguments: calls.append(1) or real(*arguments))
        assert correct(model, leaving_states(toy.dense(), toy.windows, 4), toy.windows, 3, batch=4, work=tmp_path / "work") == found
    over = max(0, after - 1) // 3
    assert len(calls) == (9 - 3 * over if over else 10), (
        "passes that were over are not taken again, nor is the length of steps chosen again"
    )
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("after", [2, 3, 5])
def test_passes_of_shorter_steps_go_on(after, toy, tmp_path, monkeypatch):
    """Of three steps each: in the one that leads away, between both, and in that of shorter steps."""
    long_steps(monkeypatch, 0.3)
    whole = toy.compressed(toy.plan(4))
    found = correct(whole, leaving_states(toy.dense(), toy.windows), toy.windows, 1)
    with monkeypatch.context() as patched:
        patched.setattr(passes, "leave_gradients", breaking(after))
        with pytest.raises(KeyboardInterrupt):
            correct(toy.compressed(toy.plan(4)), leaving_states(toy.dense(), toy.windows), toy.windows, 1, work=tmp_path / "work")
    model = toy.compressed(toy.plan(4))
    assert correct(model, leaving_states(toy.dense(), toy.windows), toy.windows, 1, work=tmp_path / "work") == found
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in model.state_dict().items())
