"""The decomposition under a left and a right factor: the least error in the norm of both, for degenerate inputs too."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from drank.spectra.decomposition import Left, decompose
from tests.unit.matrices import (
    SHAPES,
    dead_features,
    dead_layer,
    eigen_root,
    few_tokens,
    graded,
    half_dead_group,
    one_token,
    plain,
    random_matrix,
    silent,
    tails,
    zero_column,
)

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
