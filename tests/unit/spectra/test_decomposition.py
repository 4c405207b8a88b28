"""The decomposition against dense NumPy and SciPy: λ and, for every rank at once, the best product of that rank."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from drank.spectra.decomposition import Left, decompose
from drank.spectra.spectrum import effective_rank

SHAPES = [(12, 30), (30, 12), (20, 20)]


def random_matrix(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns))


def random_gram(size: int, tokens: int, spread: float = 0.0, seed: int = 1) -> np.ndarray:
    """XᵀX of `tokens` rows whose features differ in scale by up to 10^spread."""
    x = random_matrix(tokens, size, seed) * np.logspace(0, spread, size)
    return x.T @ x


def decomposed(matrix: np.ndarray, gram: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    found = decompose(torch.from_numpy(matrix), Left(None if gram is None else torch.from_numpy(gram)))
    assert found.energies.dtype == found.coefficients.dtype == torch.float64
    assert found.duals is found.coefficients
    return found.energies.numpy(), found.coefficients.numpy()


def losses(matrix: np.ndarray, gram: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """‖L (W − B_k C_k)‖² of every prefix k = 0 …, with B = W Cᵀ, straight from the definition."""
    found = []
    for k in range(len(coefficients) + 1):
        rest = matrix - matrix @ coefficients[:k].T @ coefficients[:k]
        found.append(np.trace(rest.T @ gram @ rest))
    return np.array(found)


def tails(energies: np.ndarray) -> np.ndarray:
    """Σ_{i > k} λ_i for k = 0 …: the least loss at rank k (Eckart-Young)."""
    return np.append(np.cumsum(energies[::-1])[::-1], 0.0)


def eigen_root(gram: np.ndarray) -> np.ndarray:
    """L with LᵀL = G from the eigendecomposition, for moments that have no Cholesky factor."""
    values, vectors = np.linalg.eigh(gram)
    return np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T


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


def excited(shape):
    return random_gram(shape[0], 300)


def few_tokens(shape):
    return random_gram(shape[0], 7)


def one_token(shape):
    return random_gram(shape[0], 1)


def massive(shape):
    """One feature a million times larger than the rest: what a beginning-of-sequence token does."""
    return random_gram(shape[0], 300, spread=6.0)


def graded(shape):
    return random_gram(shape[0], 300, spread=11.0)


def graded_everywhere(shape):
    """Eigenvalues over eleven orders of magnitude, along no feature in particular: still excited, but only just."""
    axes = np.linalg.qr(random_matrix(shape[0], shape[0], 6))[0]
    gram = axes * np.logspace(0, -11, shape[0]) @ axes.T
    return (gram + gram.T) / 2


def silent(shape):
    return np.zeros((shape[0], shape[0]))


def dead_features(shape):
    gram = random_gram(shape[0], 300)
    gram[3:6], gram[:, 3:6] = 0.0, 0.0
    return gram


GRAMS = [excited, few_tokens, one_token, massive, graded, graded_everywhere, silent, dead_features]


def plain(shape):
    return random_matrix(*shape)


def zero_column(shape):
    matrix = random_matrix(*shape)
    matrix[:, [2, 4]] = 0.0
    return matrix


def zero_rows(shape):
    matrix = random_matrix(*shape)
    matrix[1:4] = 0.0
    return matrix


def dead_layer(shape):
    return np.zeros(shape)


def low_rank(shape):
    return random_matrix(shape[0], 3) @ random_matrix(3, shape[1], 5)


def half_dead_group(shape):
    matrix = random_matrix(*shape)
    matrix[:, : shape[1] // 2] = 0.0
    return matrix


def tiny_directions(shape):
    """Singular values down to 1e-13 of the largest, where directions are known to a few digits only."""
    u, _, vh = np.linalg.svd(random_matrix(*shape), full_matrices=False)
    return (u * np.logspace(0, -13, min(shape))) @ vh


MATRICES = [plain, zero_column, zero_rows, dead_layer, low_rank, half_dead_group, tiny_directions]


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


SIDES = st.tuples(st.integers(1, 14), st.integers(1, 3), st.integers(1, 9))


def random_root(size: int, seed: int) -> np.ndarray:
    """A well-conditioned square matrix of no special form."""
    return np.linalg.qr(random_matrix(size, size, seed))[0] * np.linspace(1, 5, size) @ np.linalg.qr(random_matrix(size, size, seed + 1))[0]


def lower_blocks(n: int, size: int, seed: int) -> list[np.ndarray]:
    roots = [random_root(size, seed + 2 * i) for i in range(n)]
    return [np.linalg.cholesky(root @ root.T) for root in roots]


@given(SIDES, st.sampled_from(["none", "diagonal", "full"]), st.booleans(), st.integers(0, 100))
def test_every_prefix_has_the_least_error_in_the_two_sided_norm(sides, kind, two_sided, seed):
    """‖L (W − B_k C_k) R‖² against the tail of the singular values of L W R, both in float64 from explicit L and R."""
    rows, n, columns = sides
    matrix = random_matrix(rows, n * columns, seed)
    root = {"none": np.eye(rows), "diagonal": np.diag(np.linspace(0.5, 3, rows)), "full": random_root(rows, seed + 50)}[kind]
    blocks = lower_blocks(n, columns, seed + 70)
    gram = {"none": None, "diagonal": np.diag(root) ** 2, "full": root.T @ root}[kind]
    left = Left(None if gram is None else torch.from_numpy(gram))
    found = decompose(torch.from_numpy(matrix), left, [torch.from_numpy(block) for block in blocks] if two_sided else None)
    energies, coefficients, duals = found.energies.numpy(), found.coefficients.numpy(), found.duals.numpy()
    right = scipy.linalg.block_diag(*blocks) if two_sided else np.eye(n * columns)
    sigma = np.linalg.svd(root @ matrix @ right, compute_uv=False)
    np.testing.assert_allclose(energies, sigma**2, rtol=1e-9, atol=1e-13 * sigma[0] ** 2)
    best = tails(sigma**2)
    errors = [np.linalg.norm(root @ (matrix - matrix @ duals[:k].T @ coefficients[:k]) @ right) ** 2 for k in range(len(energies) + 1)]
    np.testing.assert_allclose(errors, best, rtol=1e-9, atol=1e-13 * best[0])
    np.testing.assert_allclose(coefficients @ right @ right.T @ coefficients.T, np.eye(len(energies)), atol=1e-11)
    np.testing.assert_allclose(duals, coefficients @ right @ right.T, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gram_of", [silent, one_token, few_tokens, dead_features, graded])
@pytest.mark.parametrize("matrix_of", [plain, zero_column, dead_layer, half_dead_group])
def test_degenerate_inputs_under_a_right_factor(matrix_of, gram_of, shape):
    """Finite, optimal and at full rank exact, with output moments over eight orders of magnitude."""
    matrix, gram = matrix_of(shape), gram_of(shape)
    blocks = [
        np.diag(np.logspace(0, -4, shape[1] // 2)) + np.tril(random_matrix(shape[1] // 2, shape[1] // 2, i), -1) / 1e4 for i in (0, 1)
    ]
    found = decompose(torch.from_numpy(matrix), Left(torch.from_numpy(gram)), [torch.from_numpy(block) for block in blocks])
    energies, coefficients, duals = found.energies.numpy(), found.coefficients.numpy(), found.duals.numpy()
    assert np.isfinite(energies).all() and np.isfinite(coefficients).all() and np.isfinite(duals).all()
    assert np.linalg.norm(matrix @ duals.T @ coefficients - matrix) <= 1e-8 * np.linalg.norm(matrix)
    right, root = scipy.linalg.block_diag(*blocks), eigen_root(gram)
    best = tails(np.linalg.svd(root @ matrix @ right, compute_uv=False) ** 2)
    errors = [np.linalg.norm(root @ (matrix - matrix @ duals[:k].T @ coefficients[:k]) @ right) ** 2 for k in range(min(shape) + 1)]
    np.testing.assert_allclose(errors, best, rtol=0, atol=1e-9 * best[0])


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
