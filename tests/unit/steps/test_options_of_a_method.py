"""What a method is told to do reaches the code that does it: a step that drops a setting makes another method's model without a word."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drank.allocation.plan import Plan
from drank.compression.factors import factors_of
from drank.compression.refit import refit
from drank.models.checkpoint import load_model
from drank.models.conversion import convert
from drank.models.weights import Checkpoint
from drank.spectra.spectrum import decompose_model, read_energies
from drank.steps import calibrate, compress, gradients, spectrum
from tests.unit.steps.tiny import COMPUTE, TEXT, places, windows_of


def test_a_refit_has_the_order_of_the_plan(made, tmp_path):
    folder, tokens, plan = made
    (spectra,) = (folder / "work/results/spectra/tiny").glob("w*")
    files = {"source": str(folder / "work/results/sources/tiny.json"), "spectra": str(spectra), "tokens": str(tokens)}
    old, states = Plan.read(plan), {}
    for order in ("in-order", "at-once"):
        new = replace(old, settings=old.settings | {"refit_from": 0.0, "refit": order})
        (tmp_path / f"{order}.json").write_text(new.to_json())
        told = {"places": places(folder), "plan": str(tmp_path / f"{order}.json"), "calibration": TEXT, **COMPUTE, "code": "x"}
        states[order] = compress.run(tmp_path / order, **files, **told).state_dict()
        own, checkpoint = load_model(folder / "tiny"), Checkpoint(folder / "tiny")
        convert(own, new.groups, factors_of(checkpoint, new, spectra))
        refit(own, checkpoint, windows_of(tokens), 4, order)
        for name, value in own.state_dict().items():
            torch.testing.assert_close(states[order][name], value, rtol=1e-5, atol=1e-6)
    assert any(not torch.allclose(value, states["at-once"][name], rtol=1e-3) for name, value in states["in-order"].items())


def test_the_options_of_a_weighting_reach_its_spectra(made, tmp_path):
    folder, tokens, _ = made
    common = {"source": str(folder / "work/results/sources/tiny.json"), "places": places(folder), **COMPUTE, "code": "x"}
    calibrate.run(tmp_path / "m", tokens=tokens, calibration=TEXT, **common)
    gradients.run(tmp_path / "g", tokens=tokens, labels="text", calibration={**TEXT, "gradient_windows": 6}, **common)
    read, found = {"moments": tmp_path / "m", "gradients": tmp_path / "g"}, []
    for damping in (0.01, 0.5):
        recipe = {"weighting": "kronecker-fisher", "options": {"damping": damping}, "group": 1}
        spectrum.run(tmp_path / f"step{damping}", names={"model": "tiny", "spectrum": "x"}, **read, **recipe, **common)
        decompose_model(Checkpoint(folder / "tiny"), tmp_path / f"own{damping}", **read, **recipe, facts={})
        found.append(read_energies(tmp_path / f"step{damping}"))
        for name, values in read_energies(tmp_path / f"own{damping}").items():
            np.testing.assert_allclose(found[-1][name], values, rtol=1e-9)
    assert not np.allclose(found[0]["q.00"], found[1]["q.00"], rtol=1e-3)


@pytest.mark.parametrize("option", ["group", "weighting"])
def test_groups_and_weightings_are_those_asked_for(made, tmp_path, option):
    folder, tokens, _ = made
    common = {"source": str(folder / "work/results/sources/tiny.json"), "places": places(folder), **COMPUTE, "code": "x"}
    calibrate.run(tmp_path / "m", tokens=tokens, calibration=TEXT, **common)
    found = []
    for value in {"group": (1, 2), "weighting": ("whitening", "identity")}[option]:
        recipe = {"weighting": "whitening", "options": {}, "group": 1} | {option: value}
        spectrum.run(tmp_path / str(value), names={"model": "tiny", "spectrum": "x"}, moments=tmp_path / "m", **recipe, **common)
        decompose_model(Checkpoint(folder / "tiny"), tmp_path / f"own-{value}", moments=tmp_path / "m", **recipe, facts={})
        found.append(read_energies(tmp_path / str(value)))
        own = read_energies(tmp_path / f"own-{value}")
        assert found[-1].keys() == own.keys()
        assert all(np.allclose(found[-1][name], own[name], rtol=1e-9) for name in own)
    assert found[0].keys() != found[1].keys() or not np.allclose(found[0]["q.00"], found[1]["q.00"], rtol=1e-3)
