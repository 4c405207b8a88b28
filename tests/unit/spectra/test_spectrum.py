"""The spectra of a model on disk: the right statistics for every group, resumable, read back by slices."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from drank.calibration.layer_files import read_layer, write_layer
from drank.calibration.moments import NonFiniteError
from drank.spectra import spectrum as spectra
from drank.spectra.spectrum import decompose_model, effective_rank, read_bases, read_energies, read_scales, read_summary
from drank.spectra.weightings import WEIGHTINGS
from tests.unit.toy_calibration import LAYERS, READS, calibrated, write_checkpoint


@pytest.fixture
def toy(tmp_path):
    return calibrated(tmp_path)


def decomposed(toy, directory, checkpoint=None, **options):
    sources = {"moments": toy.moments, "gradients": toy.gradients}
    decompose_model(checkpoint or toy.checkpoint, directory, **{**sources, "facts": {"model": "toy"}, **options})
    return directory


def test_spectra_of_a_model_average_the_moments_of_a_group_and_read_the_right_input(toy, tmp_path):
    directory = decomposed(toy, tmp_path / "s", group=2)
    shapes, density = read_summary(directory)
    assert [shape.name for shape in shapes] == [
        *("q.00-01", "q.02", "k.00-01", "k.02", "v.00-01", "v.02", "o.00", "o.01", "o.02"),
        *("gate.00-01", "gate.02", "up.00-01", "up.02", "down.00", "down.01", "down.02"),
    ]
    assert shapes == toy.checkpoint.shapes(2)
    energies = read_energies(directory)
    assert list(energies) == list(density) == [shape.name for shape in shapes]
    for shape in shapes:
        stacked = np.vstack([toy.inputs[READS[shape.role], layer] for layer in shape.layers]) / np.sqrt(len(shape.layers))
        matrix = toy.matrix(shape.role, shape.layers)
        sigma = np.linalg.svd(stacked @ matrix, compute_uv=False)
        assert energies[shape.name].dtype == np.float64 and energies[shape.name].shape == (shape.max_rank,)
        np.testing.assert_allclose(energies[shape.name], sigma[: shape.max_rank] ** 2, rtol=1e-9)
        assert density[shape.name] == effective_rank(energies[shape.name])
        coefficients, duals = read_bases(directory, {shape.name: 2})[shape.name]
        assert duals is coefficients and coefficients.dtype == torch.float32
        rest = matrix - matrix @ duals.double().numpy().T @ coefficients.double().numpy()
        np.testing.assert_allclose(np.linalg.norm(stacked @ rest) ** 2, (sigma[2:] ** 2).sum(), rtol=1e-5)


@pytest.mark.parametrize("group", [1, 2])
def test_scales_are_the_root_mean_squares_of_what_is_read(group, toy, tmp_path):
    """They decide which rows are pivots where weights are stored in half precision."""
    directory = decomposed(toy, tmp_path / "s", group=group)
    scales = read_scales(directory)
    for shape in read_summary(directory)[0]:
        x = np.vstack([toy.inputs[READS[shape.role], layer] for layer in shape.layers])
        np.testing.assert_allclose(scales[shape.name], np.sqrt((x**2).mean(0)), rtol=1e-6)
    assert read_scales(decomposed(toy, tmp_path / "i", weighting="identity")) == {}


def test_files_hold_the_groups_that_start_at_their_layer(toy, tmp_path):
    directory = decomposed(toy, tmp_path / "s", group=2)
    assert sorted(path.name for path in directory.iterdir()) == [*(f"layer-00{i}.safetensors" for i in range(LAYERS)), "summary.json"]
    assert {name.rpartition(".")[0] for name in load_file(directory / "layer-001.safetensors")} == {"o.01", "down.01"}
    text = json.loads((directory / "summary.json").read_text())
    assert text["model"] == "toy" and len(text["groups"]) == 16
    for row in text["groups"]:
        energies = read_layer(directory, row["layers"][0], f"{row['group']}.energies")
        assert row["energy"] == pytest.approx(energies.sum().item()) and row["max_rank"] == len(energies)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_bases_are_slices_and_duals_are_stored_where_there_is_a_right_factor(name, toy, tmp_path):
    directory = decomposed(toy, tmp_path / "s", weighting=name, group=2)
    shapes, _ = read_summary(directory)
    ranks = {shape.name: 1 + index % shape.max_rank for index, shape in enumerate(shapes)}
    stored = {key: tensor for path in directory.glob("*.safetensors") for key, tensor in load_file(path).items()}
    for key, (coefficients, duals) in read_bases(directory, ranks).items():
        assert torch.equal(coefficients, stored[f"{key}.coefficients"][: ranks[key]])
        if WEIGHTINGS[name].right_of is not None:
            assert torch.equal(duals, stored[f"{key}.duals"][: ranks[key]]) and duals.dtype == torch.float32
        else:
            assert duals is coefficients and f"{key}.duals" not in stored
        eye = torch.eye(ranks[key], dtype=torch.float64)
        torch.testing.assert_close(duals.double() @ coefficients.double().mT, eye, atol=1e-5, rtol=0)


def test_options_reach_the_weighting(toy, tmp_path):
    found = [decomposed(toy, tmp_path / f"{a}", weighting="absolute-mean", options={"alpha": a}) for a in (0.0, 0.5)]
    plain = decomposed(toy, tmp_path / "plain", weighting="identity")
    energies = [read_energies(directory)["q.00"] for directory in (plain, *found)]
    np.testing.assert_allclose(energies[1], energies[0], rtol=1e-12)
    assert not np.allclose(energies[2], energies[0])
    with pytest.raises(ValueError, match="no option damping"):
        decomposed(toy, tmp_path / "x", weighting="whitening", options={"damping": 1.0})


def test_an_interrupted_spectrum_goes_on_at_the_layer_it_had_reached(toy, tmp_path, monkeypatch):
    whole = decomposed(toy, tmp_path / "whole", group=2)
    calls = []

    def counting(matrix, left, right=None):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return genuine(matrix, left, right)

    genuine = spectra.decompose
    monkeypatch.setattr(spectra, "decompose", counting)
    with pytest.raises(KeyboardInterrupt):
        decomposed(toy, tmp_path / "s", group=2)
    assert not (tmp_path / "s").exists()
    decomposed(toy, tmp_path / "s", group=2)
    assert len(calls) == 8 + 16 - 7, "of the first layer's seven groups none is decomposed again"
    for path in whole.iterdir():
        assert (tmp_path / "s" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("changed", [{"weighting": "identity"}, {"group": 1}, {"facts": {"model": "x"}}, {"key": "other code"}])
def test_work_for_another_spectrum_is_not_gone_on_with(changed, toy, tmp_path, monkeypatch):
    def failing(directory, layer, tensors):
        if layer == 1:
            raise KeyboardInterrupt
        write_layer(directory, layer, tensors)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(spectra, "write_layer", failing)
        decomposed(toy, tmp_path / "s", group=2)
    decomposed(toy, tmp_path / "s", **{"group": 2, **changed})
    decomposed(toy, tmp_path / "fresh", **{"group": 2, **changed})
    for path in (tmp_path / "fresh").iterdir():
        assert (tmp_path / "s" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_half_precision_weights_give_the_spectra_of_the_same_weights_in_float64(dtype, toy, tmp_path):
    directory = decomposed(toy, tmp_path / "float32", group=2)
    other = decomposed(toy, tmp_path / "other", write_checkpoint(tmp_path / "copy", dtype), group=2)
    for path in directory.glob("*.safetensors"):
        expected, found = load_file(path), load_file(other / path.name)
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_one_window_of_few_tokens_gives_finite_bases(name, toy, tmp_path):
    """Three tokens: moments of rank 3."""
    for key in toy.inputs:
        toy.inputs[key][3:] = 0.0
    for key in toy.outputs:
        toy.outputs[key].reshape(-1, toy.outputs[key].shape[-1])[3:] = 0.0
    toy.write()
    directory = decomposed(toy, tmp_path / "s", weighting=name)
    shapes, _ = read_summary(directory)
    for shape in shapes:
        coefficients, duals = (part.double() for part in read_bases(directory, {shape.name: shape.max_rank})[shape.name])
        matrix = torch.from_numpy(toy.matrix(shape.role, shape.layers))
        torch.testing.assert_close(matrix @ duals.mT @ coefficients, matrix, atol=1e-4, rtol=0)
        if name == "whitening":
            assert (read_energies(directory)[shape.name][3:] == 0).all()


def test_weights_that_are_not_finite_are_named(toy, tmp_path, monkeypatch):
    genuine = type(toy.checkpoint).group_matrix

    def damaged(checkpoint, shape):
        matrix = genuine(checkpoint, shape)
        if shape.name == "up.01":
            matrix[2, 1] = math.inf
        return matrix

    monkeypatch.setattr(type(toy.checkpoint), "group_matrix", damaged)
    with pytest.raises(NonFiniteError, match=r"up\.01: the weights are not finite"):
        decomposed(toy, tmp_path / "s")
