"""The decomposition under a left factor against dense NumPy and SciPy: λ and, for every rank at once, the best product of that rank."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from drank.spectra.decomposition import Left
from drank.spectra.spectrum import effective_rank
from tests.unit.matrices import GRAMS, MATRICES, SHAPES, decomposed, eigen_root, losses, random_gram, random_matrix, tails


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spread", [0.0, 2.0])
def test_spectrum_is_that_of_the_whitened_matrix(shape, spread):
    """S upper triangular with SᵀS = XᵀX, then the plain SVD of S W, as D-Rank writes it."""
    matrix, gram = random_matrix(*shape), random_gram(shape[0], 200, spread)
    u, sigma, vh = np.linalg.svd(scipy.linalg.cholesky(gram, lower=False) @ matrix, full_matrices=False)
    energies, coefficients = decomposed(matrix, gram)
    assert energies.shape == (min(shape),)
    assert coefficients.shape == (min(shape), shape[1])
    np.testing.assert_allclose(energies, sigma**2, rtol=1e-9, atol=1e-12 * sigma[0] ** 2)
    for k in (1, 2, 5, min(shape)):
        np.testing.assert_allclose(coefficients[:k].T @ coefficients[:k], vh[:k].T @ vh[:k], atol=1e-7)
    # B = W V is the paper's basis S⁻¹ U Σ, without the inverse
    root = scipy.linalg.cholesky(gram, lower=False)
    paper = scipy.linalg.solve_triangular(root, u[:, :5] * sigma[:5]) @ vh[:5]
    np.testing.assert_allclose(matrix @ coefficients[:5].T @ coefficients[:5], paper, atol=1e-7)


@pytest.mark.parametrize("shape", SHAPES)
def test_identity_weighting_is_the_plain_svd(shape):
    matrix = random_matrix(*shape)
    energies, coefficients = decomposed(matrix, None)
    np.testing.assert_allclose(energies, np.linalg.svd(matrix, compute_uv=False) ** 2, rtol=1e-10)
    np.testing.assert_allclose(losses(matrix, np.eye(shape[0]), coefficients), tails(energies), atol=1e-10 * energies.sum())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gram_of", GRAMS)
@pytest.mark.parametrize("matrix_of", MATRICES)
def test_every_prefix_is_optimal_and_the_whole_is_exact(matrix_of, gram_of, shape):
    matrix, gram = matrix_of(shape), gram_of(shape)
    energies, coefficients = decomposed(matrix, gram)
    assert np.isfinite(energies).all() and np.isfinite(coefficients).all()
    assert (np.diff(energies) <= 0).all() and (energies >= 0).all()
    assert np.abs(coefficients @ coefficients.T - np.eye(min(shape))).max() < 1e-13, "rows of C are orthonormal"
    rebuilt = matrix @ coefficients.T @ coefficients
    assert np.linalg.norm(rebuilt - matrix) <= 1e-10 * np.linalg.norm(matrix)
    best = tails(np.linalg.svd(eigen_root(gram) @ matrix, compute_uv=False) ** 2)
    np.testing.assert_allclose(losses(matrix, gram, coefficients), best, rtol=0, atol=1e-9 * best[0])
    np.testing.assert_allclose(tails(energies), best, rtol=0, atol=1e-9 * best[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_what_calibration_never_excites_comes_last_and_in_the_order_of_plain_svd(shape):
    """With moments of rank 4 the first 4 directions are whitened ones; after them a prefix is the best fit to what is left of W."""
    matrix, gram = random_matrix(*shape), random_gram(shape[0], 4)
    energies, coefficients = decomposed(matrix, gram)
    assert (energies[:4] > 0).all() and (energies[4:] == 0).all()
    assert losses(matrix, gram, coefficients)[4] < 1e-12 * energies.sum()
    rest = matrix - matrix @ coefficients[:4].T @ coefficients[:4]
    plain_losses = losses(matrix, np.eye(shape[0]), coefficients)[4:]
    np.testing.assert_allclose(plain_losses, tails(np.linalg.svd(rest, compute_uv=False) ** 2)[: len(plain_losses)], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tokens", [5, 200])
def test_only_the_gram_matters_not_which_root_of_it(shape, tokens):
    """Three roots of one G, and the activations themselves, give one spectrum and one rank-k product."""
    matrix, x = random_matrix(*shape), random_matrix(tokens, shape[0], 3)
    gram = x.T @ x
    energies, coefficients = decomposed(matrix, gram)
    rotation = np.linalg.qr(random_matrix(shape[0], shape[0], 4))[0]
    for root in (eigen_root(gram), rotation @ eigen_root(gram), x):
        sigma = np.linalg.svd(root @ matrix, compute_uv=False)
        padded = np.pad(sigma, (0, max(0, min(shape) - len(sigma))))[: min(shape)]
        np.testing.assert_allclose(energies, padded**2, atol=1e-9 * padded[0] ** 2)
    for k in (1, 3, 5):
        u, s, vh = np.linalg.svd(x @ matrix, full_matrices=False)
        np.testing.assert_allclose(x @ matrix @ coefficients[:k].T @ coefficients[:k], (u[:, :k] * s[:k]) @ vh[:k], atol=1e-7)


def test_square_root_of_definite_and_semidefinite_moments():
    for tokens in (200, 6, 1):
        gram = random_gram(20, tokens)
        root = Left(torch.from_numpy(gram)).root.numpy()
        np.testing.assert_allclose(root.T @ root, gram, atol=1e-10 * np.abs(gram).max())
    assert not Left(torch.zeros(4, 4, dtype=torch.float64)).root.any()


SCALES = st.floats(1e-6, 1e6)


@given(st.sampled_from(SHAPES), st.integers(0, 5), SCALES, SCALES, st.sampled_from([3, 100]))
def test_scaling_weights_or_activations_scales_the_spectrum_only(shape, seed, of_matrix, of_inputs, tokens):
    matrix, gram = random_matrix(*shape, seed), random_gram(shape[0], tokens, seed=seed)
    energies, coefficients = decomposed(matrix, gram)
    scaled, same = decomposed(of_matrix * matrix, of_inputs**2 * gram)
    np.testing.assert_allclose(scaled, (of_matrix * of_inputs) ** 2 * energies, rtol=1e-8, atol=1e-13 * scaled[0])
    rank = min(3, tokens)
    np.testing.assert_allclose(same[:rank].T @ same[:rank], coefficients[:rank].T @ coefficients[:rank], atol=1e-6)
    assert effective_rank(scaled) == pytest.approx(effective_rank(energies), rel=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("diagonal", [np.logspace(0, -6, 30), np.r_[np.zeros(4), np.ones(26)], np.zeros(30)])
def test_a_diagonal_is_the_matrix_with_that_diagonal(shape, diagonal):
    matrix, diagonal = random_matrix(*shape), diagonal[: shape[0]]
    energies, coefficients = decomposed(matrix, diagonal)
    dense, same = decomposed(matrix, np.diag(diagonal))
    np.testing.assert_allclose(energies, dense, rtol=1e-9, atol=1e-13 * dense[0])
    best = tails(dense)
    np.testing.assert_allclose(losses(matrix, np.diag(diagonal), coefficients), best, rtol=0, atol=1e-9 * best[0])
    rank = min(int((dense > 0).sum()), 3)
    np.testing.assert_allclose(coefficients[:rank].T @ coefficients[:rank], same[:rank].T @ same[:rank], atol=1e-7)


@pytest.mark.parametrize("rows", [40, 700])
def test_products_by_panels_are_whole_products(rows):
    """Sides above and below the width of a panel."""
    matrix, gram = random_matrix(rows, 600), random_gram(rows, 2000)
    sigma = np.linalg.svd(scipy.linalg.cholesky(gram) @ matrix, compute_uv=False)
    energies, coefficients = decomposed(matrix, gram)
    np.testing.assert_allclose(energies, sigma**2, rtol=1e-9)
    np.testing.assert_allclose(coefficients @ coefficients.T, np.eye(len(coefficients)), atol=1e-12)


def test_a_root_is_taken_once():
    left = Left(torch.from_numpy(random_gram(5, 20)))
    assert left.root is left.root
    with pytest.raises(ValueError, match="identity has no matrix"):
        _ = Left().root
