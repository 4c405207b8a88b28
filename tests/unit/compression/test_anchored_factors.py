"""Anchored factors against closed forms of another kind, and against all that tries to do better."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drank.compression.anchoring import JITTER, anchored_factors
from drank.compression.target import target_of
from drank.spectra.decomposition import Left, decompose
from tests.unit.compressed_llama import draw


def anchored(found: np.ndarray, dense: np.ndarray, matrix: np.ndarray, rank: int, share: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    gram, apart = (torch.from_numpy(found.T @ other) for other in (found, dense - found))
    target = target_of(gram, apart, torch.from_numpy(matrix), share, JITTER)
    basis, coefficients = anchored_factors(target, Left(gram), rank)
    assert basis.shape == (len(matrix), rank) and coefficients.shape == (rank, matrix.shape[1])
    torch.testing.assert_close(coefficients.norm(dim=1), torch.ones(rank, dtype=torch.float64))
    return basis.numpy(), coefficients.numpy()


def pair(rows: int, columns: int, seed: int, tokens: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X', an X near it, and W."""
    found = draw(tokens, rows, seed) @ np.diag(2.0 ** -np.arange(rows))
    return found, found + 0.2 * draw(tokens, rows, seed + 1), draw(rows, columns, seed + 2)


@given(st.integers(0, 1000), st.sampled_from([(7, 5), (5, 7), (6, 6)]), st.integers(1, 5))
def test_the_product_is_the_closed_form_by_pseudoinverse_and_svd_and_by_the_papers_roots(seed, sides, rank):
    """X'⁺ (X' X'⁺ X W)_k, and S⁻¹ [S⁻ᵀ X'ᵀX W]_k with S the upper Cholesky factor of G'."""
    found, dense, matrix = pair(*sides, seed)
    basis, coefficients = anchored(found, dense, matrix, rank)

    def cut(whole: np.ndarray) -> np.ndarray:
        u, s, v = np.linalg.svd(whole, full_matrices=False)
        return (u[:, :rank] * s[:rank]) @ v[:rank]

    inverse = np.linalg.pinv(found)
    expected = inverse @ cut(found @ inverse @ dense @ matrix)
    root = np.linalg.cholesky(found.T @ found).T
    paper = np.linalg.solve(root, cut(np.linalg.solve(root.T, found.T @ dense @ matrix)))
    error, scale = dense @ matrix - found @ basis @ coefficients, np.linalg.norm(dense @ matrix)
    np.testing.assert_allclose(np.linalg.norm(error), np.linalg.norm(dense @ matrix - found @ expected), rtol=1e-6)
    np.testing.assert_allclose(found @ basis @ coefficients, found @ expected, atol=1e-3 * scale)
    np.testing.assert_allclose(paper, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("sides", [(8, 5), (5, 8)])
def test_neither_other_factors_nor_alternating_least_squares_come_nearer_to_the_dense_outputs(sides):
    found, dense, matrix = pair(*sides, 0)
    wanted = dense @ matrix

    def error(basis: np.ndarray, coefficients: np.ndarray) -> float:
        return float(np.linalg.norm(wanted - found @ basis @ coefficients))

    basis, coefficients = anchored(found, dense, matrix, 3)
    lowest = error(basis, coefficients)
    for seed in range(10):
        noise = draw(len(basis), 3, seed), draw(3, coefficients.shape[1], seed + 50)
        assert error(basis + 1e-2 * noise[0], coefficients + 1e-2 * noise[1]) > lowest
        other, rows = noise
        for _ in range(300):
            other = np.linalg.lstsq(found, wanted @ np.linalg.pinv(rows))[0]
            rows = np.linalg.lstsq(found @ other, wanted)[0]
        assert error(other, rows) >= lowest * (1 - 1e-6)
    unmoved = decompose(torch.from_numpy(matrix), Left(torch.from_numpy(found.T @ found))).coefficients[:3].numpy()
    assert lowest < 0.999 * error(matrix @ unmoved.T, unmoved), "SVD-LLM's, of W, are another matter"


def test_full_rank_gives_the_target():
    for sides in ((7, 5), (5, 7)):
        found, dense, matrix = pair(*sides, 3)
        basis, coefficients = anchored(found, dense, matrix, 5)
        np.testing.assert_allclose(basis @ coefficients, np.linalg.lstsq(found, dense @ matrix)[0], rtol=1e-2, atol=1e-3)
        gram, apart = (torch.from_numpy(found.T @ other) for other in (found, dense - found))
        np.testing.assert_allclose(basis @ coefficients, target_of(gram, apart, torch.from_numpy(matrix), 1.0, JITTER), atol=1e-8)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_inputs_that_are_the_dense_models_and_a_share_of_nothing_give_the_factors_of_svd_llm(share):
    found, dense, matrix = pair(7, 5, 4)
    basis, coefficients = anchored(found, dense if share == 0 else found, matrix, 3, share)
    rows = decompose(torch.from_numpy(matrix), Left(torch.from_numpy(found.T @ found))).coefficients[:3].numpy()
    np.testing.assert_allclose(basis @ coefficients, matrix @ rows.T @ rows, atol=1e-7)


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 5))
def test_fewer_tokens_than_features_leave_the_matrix_where_nothing_is_read(seed, tokens, rank):
    """T is W there, and nothing blows up: what is read gets the best outputs all the same."""
    found, dense, matrix = pair(7, 5, seed, tokens)
    basis, coefficients = anchored(found, dense, matrix, rank)
    gram, apart = (torch.from_numpy(found.T @ other) for other in (found, dense - found))
    target = target_of(gram, apart, torch.from_numpy(matrix), 1.0, JITTER).numpy()
    unread = np.linalg.svd(found)[2][tokens:].T
    np.testing.assert_allclose(unread.T @ target, unread.T @ matrix, atol=1e-6 * np.abs(matrix).max())
    left = np.linalg.svd(found @ target, compute_uv=False)[rank:]
    error = np.linalg.norm(found @ (target - basis @ coefficients))
    np.testing.assert_allclose(error, np.linalg.norm(left), rtol=1e-4, atol=1e-6 * np.linalg.norm(found @ target))


@pytest.mark.parametrize("sides", [(8, 5), (5, 8), (6, 6)])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_under_a_right_factor_they_are_the_best_in_its_norm_though_it_is_not_given(sides, share):
    """By the SVD of S T R: the spectrum of W under R says all of R that T can tell."""
    found, dense, matrix = (torch.from_numpy(part) for part in pair(*sides, 5))
    right = torch.linalg.cholesky(
        torch.eye(sides[1], dtype=torch.float64)
        + torch.from_numpy(draw(sides[1], sides[1], 9)) @ (torch.from_numpy(draw(sides[1], sides[1], 9)).mT)
    )
    whole = decompose(matrix, Left(dense.mT @ dense), [right])
    gram = found.mT @ found
    target = target_of(gram, found.mT @ (dense - found), matrix, share, JITTER)
    basis, coefficients = anchored_factors(target, Left(gram), 3, whole.coefficients, whole.duals)
    u, s, v = torch.linalg.svd(Left(gram).root @ target @ right, full_matrices=False)
    expected = (u[:, :3] * s[:3]) @ v[:3]
    torch.testing.assert_close(Left(gram).root @ basis @ coefficients @ right, expected, rtol=1e-6, atol=1e-6)
    full, rows = anchored_factors(target, Left(gram), min(sides), whole.coefficients, whole.duals)
    torch.testing.assert_close(full @ rows, target, rtol=1e-6, atol=1e-6)
