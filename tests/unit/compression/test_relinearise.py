"""Re-linearisation: the same as calling the library by hand, a directory like any other spectra, and nothing left where a step fails."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

import drank.compression.relinearise
from drank.allocation.allocate import allocate
from drank.allocation.read_evidence import read_evidence
from drank.calibration.gradients import collect
from drank.calibration.moments import calibrate
from drank.compression.factors import factors_of
from drank.compression.relinearise import relinearise
from drank.methods import METHODS
from drank.models.checkpoint import load_model
from drank.models.conversion import convert
from drank.models.lowrank import LowRankLinear
from drank.runtime.files import file_hash, read_json
from drank.spectra.spectrum import decompose_model, read_bases, read_energies, read_summary
from tests.unit.compressed_llama import measured

SETTINGS = METHODS["l-rank"].settings()
RECIPE = {"weighting": "kronecker-fisher", "options": {"damping": 0.1}, "group": 1}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return measured(tmp_path_factory.mktemp("toy"), dtype=torch.float32)


def arguments(toy, **changes):
    """What a run of two steps to 0.4 is given: gradients see some of the windows only."""
    return {
        "spectra": toy.spectra,
        "method": "L-Rank",
        "settings": SETTINGS,
        **RECIPE,
        "ratio": 0.4,
        "steps": 2,
        "labels": "sampled",
        "windows": toy.windows[:8],
        "moments_windows": toy.windows,
        "facts": {"ratio": 0.4},
        "seed": 5,
    } | changes


def by_hand(toy, folder, steps: int, labels: str = "sampled"):
    """Spectra of every step in turn: a fresh dense model, compressed by the last spectra, measured; the dense weights decomposed."""
    latest = toy.spectra
    for step in range(1, steps):
        model = load_model(toy.directory, "float32")
        plan = allocate(read_evidence(latest), 0.4 * step / steps, SETTINGS, model=str(toy.directory), method="L-Rank")
        convert(model, plan.groups, factors_of(toy.checkpoint, plan, latest))
        assert any(isinstance(module, LowRankLinear) for module in model.modules())
        moments, gradients, latest = (folder / f"{kind}-{step}" for kind in ("moments", "gradients", "spectra"))
        calibrate(model, toy.windows, moments, {})
        collect(model, toy.windows[:8], gradients, {}, labels=labels, seed=5 + step)
        decompose_model(toy.checkpoint, latest, moments=moments, gradients=gradients, **RECIPE, facts={"ratio": 0.4})
    return latest


@pytest.mark.parametrize(("steps", "labels"), [(2, "sampled"), (3, "sampled"), (2, "text")])
def test_steps_are_calls_of_the_library_one_after_the_other(steps, labels, toy, tmp_path):
    (tmp_path / "out").mkdir()
    relinearise(toy.directory, tmp_path / "out/spectra", **arguments(toy, steps=steps, labels=labels))
    assert file_hash(tmp_path / "out/spectra") == file_hash(by_hand(toy, tmp_path, steps, labels))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["spectra"]


def test_what_is_written_is_read_as_spectra_are_and_decomposes_the_original_weights(toy, tmp_path):
    relinearise(toy.directory, tmp_path / "new/folder/spectra", **arguments(toy))
    found = tmp_path / "new/folder/spectra"
    assert read_summary(found)[0] == read_summary(toy.spectra)[0]
    assert read_json(found / "summary.json")["ratio"] == 0.4
    energies, dense = read_energies(found), read_energies(toy.spectra)
    assert energies.keys() == dense.keys() and any(not np.allclose(energies[name], dense[name], rtol=1e-2) for name in energies)
    for shape in toy.checkpoint.shapes(1):
        coefficients, duals = (part.double() for part in read_bases(found, {shape.name: shape.max_rank})[shape.name])
        matrix = toy.checkpoint.group_matrix(shape)
        torch.testing.assert_close(matrix @ duals.mT @ coefficients, matrix, rtol=1e-3, atol=1e-4)
    plan = allocate(read_evidence(found), 0.4, SETTINGS, model="m", method="L-Rank")
    assert plan.parameters <= 0.6 * plan.dense_parameters


def test_spectra_that_are_there_are_replaced(toy, tmp_path):
    for seed in (5, 6):
        relinearise(toy.directory, tmp_path / "spectra", **arguments(toy, seed=seed))
    relinearise(toy.directory, tmp_path / "fresh", **arguments(toy, seed=6))
    assert file_hash(tmp_path / "spectra") == file_hash(tmp_path / "fresh")


@pytest.mark.parametrize("steps", [1, 0, -3])
def test_fewer_than_two_steps_are_refused(steps, toy, tmp_path):
    with pytest.raises(ValueError, match=rf"{steps} steps re-linearise nothing; take 2 or more, or the spectra of the dense model"):
        relinearise(toy.directory, tmp_path / "spectra", **arguments(toy, steps=steps))
    assert not list(tmp_path.glob("[!.]*"))


@pytest.mark.parametrize("stage", ["allocate", "calibrate", "collect", "decompose_model"])
@pytest.mark.parametrize("step", [1, 2])
def test_a_step_that_fails_puts_nothing_in_place(stage, step, toy, tmp_path, monkeypatch):
    """What it reached is kept, hidden, for a run with the same arguments and code."""
    whole, calls = getattr(drank.compression.relinearise, stage), []

    def failing(*args, **kwargs):
        calls.append(1)
        if len(calls) < step:
            return whole(*args, **kwargs)
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(drank.compression.relinearise, stage, failing)
    with pytest.raises(RuntimeError, match="the disk is full"):
        relinearise(toy.directory, tmp_path / "spectra", **arguments(toy, steps=3))
    assert len(calls) == step and not list(tmp_path.glob("[!.]*")), (
        "nothing is in place; what was reached is kept, hidden, to be gone on with"
    )


@pytest.mark.parametrize("step", [1, 2])
def test_a_decomposition_that_fails_halfway_puts_nothing_in_place(step, toy, tmp_path, monkeypatch):
    import drank.spectra.spectrum

    whole, calls = drank.spectra.spectrum.write_layer, []

    def failing(*args):
        calls.append(1)
        if len(calls) < 3 * step:
            return whole(*args)
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(drank.spectra.spectrum, "write_layer", failing)
    with pytest.raises(RuntimeError, match="the disk is full"):
        relinearise(toy.directory, tmp_path / "spectra", **arguments(toy, steps=3))
    assert not list(tmp_path.glob("[!.]*"))


def test_everything_that_decides_the_result_is_given_by_name():
    """Nothing is guessed: only what the result does not depend on, and the seed, have defaults."""
    defaults = {name for name, p in inspect.signature(relinearise).parameters.items() if p.default is not p.empty}
    assert defaults == {"batch", "seed", "dtype", "device", "key"}
