"""The refit against the normal equations and a least-squares solve on explicit inputs; the factors as slices of the spectra."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from drank.factors import factors_of, refit_coefficients
from drank.plan import Group, Plan, Shape
from drank.sources import Checkpoint
from drank.spectra import Spectrum, write_spectra


def draw(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns))


def refitted(basis: np.ndarray, coefficients: np.ndarray, gram: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return refit_coefficients(*map(torch.from_numpy, (basis, coefficients, gram, matrix))).numpy()


@pytest.mark.parametrize("columns", [5, 30])
def test_refit_is_the_normal_equation_and_the_least_squares_solution(columns):
    """C' = (Bᵀ G' B)⁻¹ Bᵀ G' W, the C that minimises ‖X' (W − B C)‖."""
    basis, old, inputs, matrix = draw(16, 4, 0), draw(4, columns, 1), draw(100, 16, 2), draw(16, columns, 3)
    gram = inputs.T @ inputs
    fitted = refitted(basis, old, gram, matrix)
    np.testing.assert_allclose(fitted, np.linalg.solve(basis.T @ gram @ basis, basis.T @ gram @ matrix), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(fitted, np.linalg.lstsq(inputs @ basis, inputs @ matrix)[0], rtol=1e-9, atol=1e-11)


@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 40))
def test_refit_never_fits_worse_than_before(seed, rank, tokens):
    basis, old, inputs, matrix = draw(12, rank, seed), draw(rank, 9, seed + 1), draw(tokens, 12, seed + 2), draw(12, 9, seed + 3)

    def error(coefficients):
        return np.linalg.norm(inputs @ (matrix - basis @ coefficients))

    fitted = refitted(basis, old, inputs.T @ inputs, matrix)
    assert error(fitted) <= error(old) * (1 + 1e-9)
    best = np.linalg.lstsq(inputs @ basis, inputs @ matrix)[0]
    assert error(fitted) <= error(best) + 1e-6 * np.linalg.norm(inputs @ matrix)


def test_directions_that_the_inputs_never_excite_keep_their_coefficients():
    """Two tokens, a basis of four: what X' B cannot see stays as it was, what it sees is fitted."""
    basis, old, inputs, matrix = draw(10, 4, 0), draw(4, 6, 1), draw(2, 10, 2), draw(10, 6, 3)
    fitted = refitted(basis, old, inputs.T @ inputs, matrix)
    seen = inputs @ basis
    blind = np.linalg.svd(seen)[2][2:]
    assert np.abs(seen @ blind.T).max() < 1e-12
    np.testing.assert_allclose(blind @ fitted, blind @ old, atol=1e-9)
    np.testing.assert_allclose(seen @ fitted, inputs @ matrix, atol=1e-9)


def test_inputs_that_are_all_zero_change_nothing():
    basis, old, matrix = draw(10, 4, 0), draw(4, 6, 1), draw(10, 6, 3)
    np.testing.assert_array_equal(refitted(basis, old, np.zeros((10, 10)), matrix), old)


def test_an_optimal_pair_stays_as_it_is():
    """Factors from the same moments are the optimum already."""
    inputs, matrix = draw(60, 10, 0), draw(10, 14, 1)
    u, sigma, vh = np.linalg.svd(inputs @ matrix, full_matrices=False)
    coefficients = vh[:3]
    fitted = refitted(matrix @ coefficients.T, coefficients, inputs.T @ inputs, matrix)
    np.testing.assert_allclose(fitted, coefficients, atol=1e-10)


def test_badly_scaled_bases_are_fitted_too():
    """Columns of B = W V shrink with σ, here over five orders of magnitude."""
    basis, inputs, matrix = draw(12, 6, 0) * np.logspace(0, -5, 6), draw(80, 12, 1), draw(12, 8, 2)
    fitted = refitted(basis, np.zeros((6, 8)), inputs.T @ inputs, matrix)
    best = np.linalg.lstsq(inputs @ basis, inputs @ matrix)[0]
    np.testing.assert_allclose(inputs @ basis @ fitted, inputs @ basis @ best, atol=1e-6)


def test_factors_are_slices_and_b_is_w_v(tmp_path):
    """B = W Vᵀ and C = V from the first rows, for factored groups only, whose matrices stand side by side."""
    directory = tmp_path / "model"
    directory.mkdir()
    weights = {layer: torch.from_numpy(draw(5, 6, layer)).float() for layer in range(2)}
    save_file({f"model.layers.{i}.self_attn.q_proj.weight": weight for i, weight in weights.items()}, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": 2}))
    shape, alone = Shape("q", (0, 1), 6, 5), Shape("o", (0,), 6, 6)
    right = torch.linalg.qr(torch.from_numpy(draw(10, 6, 9)))[0].T.float().contiguous()
    spectra = [Spectrum(shape, torch.ones(6).double(), right), Spectrum(alone, torch.ones(6).double(), torch.eye(6))]
    write_spectra(tmp_path / "s.safetensors", spectra, {})
    plan = Plan("m", "x", 0.2, {}, (Group(shape, 3.0, 4), Group(alone, 3.0, 6, dense=True)))
    found = factors_of(Checkpoint(directory), plan, tmp_path / "s.safetensors")
    assert list(found) == ["q.00-01"]
    basis, coefficients = found["q.00-01"]
    assert basis.dtype == coefficients.dtype == torch.float64
    matrix = torch.cat([weights[0].T, weights[1].T], dim=1).double()
    assert torch.equal(coefficients, right[:4].double())
    torch.testing.assert_close(basis, matrix @ right[:4].double().T)
