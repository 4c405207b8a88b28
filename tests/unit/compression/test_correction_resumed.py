"""Corrections that were interrupted: gone on with in every bit, in the folder that they were given."""

from __future__ import annotations

import tempfile

import pytest
import torch

import drank.compression.correction
from drank.compression.correction import correct


@pytest.mark.parametrize("stopped_in", ["collect", "calibrate", "_search"])
@pytest.mark.parametrize("after", [0, 1])
def test_an_interrupted_correction_goes_on(stopped_in, after, toy, tmp_path, monkeypatch):
    plan = toy.plan(4, dense=["o.01"])
    whole = toy.compressed(plan)
    found = correct(whole, toy.dense(), toy.windows, 2, batch=4)
    real, calls = getattr(drank.compression.correction, stopped_in), []

    def breaking(*arguments, **options):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with monkeypatch.context() as patched:
        patched.setattr(drank.compression.correction, stopped_in, breaking)
        with pytest.raises(KeyboardInterrupt):
            correct(toy.compressed(plan), toy.dense(), toy.windows, 2, batch=4, work=tmp_path / "work")
    model = toy.compressed(plan)
    assert correct(model, toy.dense(), toy.windows, 2, batch=4, work=tmp_path / "work") == found
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in model.state_dict().items())
