"""Slopes against explicit inverses and against differences of the loss they linearise."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from drank.spectra.slopes import read_slopes, slopes_of, write_slopes
from drank.spectra.spectrum import decompose_model, read_bases, read_energies, read_summary
from drank.spectra.weightings import WEIGHTINGS
from tests.unit.toy_calibration import READS, TOKENS, calibrated


@pytest.fixture
def toy(tmp_path):
    return calibrated(tmp_path)


def decomposed(toy, directory, weighting, group):
    decompose_model(toy.checkpoint, directory, moments=toy.moments, gradients=toy.gradients, weighting=weighting, group=group, facts={})
    return directory


def gradient(toy, shape) -> np.ndarray:
    return np.hstack([toy.gradient(shape.role, layer) for layer in shape.layers])


def roots(toy, shape, weighting):
    """L and R, whole matrices."""
    stacked = np.vstack([toy.inputs[READS[shape.role], layer] for layer in shape.layers])
    gram = stacked.T @ stacked
    if weighting == "whitening":
        return scipy.linalg.cholesky(gram), np.eye(shape.width)
    blocks = []
    for layer in shape.layers:
        flat = toy.outputs[shape.role, layer].reshape(TOKENS, -1)
        moment = flat.T @ flat / TOKENS
        blocks.append(np.linalg.cholesky(moment + 0.01 * np.trace(moment) / len(moment) * np.eye(len(moment))))
    gram = gram / TOKENS
    return scipy.linalg.cholesky(gram + 0.01 * np.trace(gram) / len(gram) * np.eye(len(gram))), scipy.linalg.block_diag(*blocks)


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("weighting", ["whitening", "kronecker-fisher"])
def test_slopes_are_those_of_zs_svd_with_explicit_inverses(toy, tmp_path, weighting, group):
    """δ_i = −σ_i u_iᵀ H v_i, H = L⁻ᵀ ∇W R⁻ᵀ, with u, σ, v the singular triples of L W R."""
    slopes = slopes_of(toy.checkpoint, decomposed(toy, tmp_path / "s", weighting, group), toy.gradients)
    for shape in toy.checkpoint.shapes(group):
        left, right = roots(toy, shape, weighting)
        u, sigma, vh = np.linalg.svd(left @ toy.matrix(shape.role, shape.layers) @ right, full_matrices=False)
        h = np.linalg.inv(left).T @ gradient(toy, shape) @ np.linalg.inv(right).T
        expected = -sigma * np.einsum("ri,rc,ic->i", u, h, vh)
        assert slopes[shape.name].dtype == np.float64 and slopes[shape.name].shape == (shape.max_rank,)
        np.testing.assert_allclose(slopes[shape.name], expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_linear_loss_changes_by_the_slope_when_a_component_is_dropped(toy, tmp_path, weighting):
    directory = decomposed(toy, tmp_path / "s", weighting, 2)
    slopes = slopes_of(toy.checkpoint, directory, toy.gradients)
    shapes, _ = read_summary(directory)
    assert list(slopes) == [shape.name for shape in shapes] == list(read_energies(directory))
    for shape in shapes:
        matrix, slope = toy.matrix(shape.role, shape.layers), gradient(toy, shape)
        coefficients, duals = (part.double().numpy() for part in read_bases(directory, {shape.name: shape.max_rank})[shape.name])
        basis = matrix @ duals.T
        for i in range(shape.max_rank):
            kept = [j for j in range(shape.max_rank) if j != i]
            change = np.sum(slope * (basis[:, kept] @ coefficients[kept])) - np.sum(slope * matrix)
            np.testing.assert_allclose(slopes[shape.name][i], change, atol=1e-4 * np.abs(slope).max() * np.abs(matrix).max())
        np.testing.assert_allclose(slopes[shape.name].sum(), -np.sum(slope * matrix), rtol=1e-3, atol=1e-3)


def test_slopes_come_back_from_their_file(tmp_path):
    slopes = {"q.00-01": np.array([1.0, -2.0]), "o.00": np.array([1e-300])}
    write_slopes(tmp_path / "deep" / "slopes.safetensors", slopes)
    found = read_slopes(tmp_path / "deep" / "slopes.safetensors")
    assert found.keys() == slopes.keys()
    for name, values in slopes.items():
        np.testing.assert_array_equal(found[name], values)
