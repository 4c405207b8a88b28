"""The target of a refit that the dense model tells, against least squares and a minimiser."""

from __future__ import annotations

import math

import numpy as np
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st

from drank.compression.compensation import RIDGE
from drank.compression.target import least_eigenvalue, target_of
from tests.unit.compressed_llama import draw


def target(found: np.ndarray, dense: np.ndarray, matrix: np.ndarray, share: float) -> np.ndarray:
    return target_of(*map(torch.from_numpy, (found.T @ found, found.T @ (dense - found), matrix)), share, RIDGE).numpy()


def ridge(found: np.ndarray) -> float:
    return 0.01 * np.diag(found.T @ found).mean()


@given(st.integers(0, 1000), st.floats(0, 1), st.integers(1, 30))
def test_the_target_is_the_least_squares_solution_of_the_stacked_problem(seed, share, tokens):
    """√a (X W − X' M), √(1 − a) X' (W − M) and √λ (W − M), one below the other; fewer tokens than features too."""
    found, dense, matrix = draw(tokens, 6, seed), draw(tokens, 6, seed + 1), draw(6, 4, seed + 2)
    a, rest, level = math.sqrt(share), math.sqrt(1 - share), math.sqrt(ridge(found))
    left = np.vstack([a * found, rest * found, level * np.eye(6)])
    right = np.vstack([a * dense @ matrix, rest * found @ matrix, level * matrix])
    expected = np.linalg.lstsq(left, right)[0]
    np.testing.assert_allclose(target(found, dense, matrix, share), expected, rtol=1e-7, atol=1e-9)


def test_the_target_is_where_a_minimiser_of_what_is_promised_ends():
    found, dense, matrix, level = draw(20, 4, 0), draw(20, 4, 1), draw(4, 3, 2), ridge(draw(20, 4, 0))

    def objective(values: np.ndarray) -> float:
        m = values.reshape(4, 3)
        errors = dense @ matrix - found @ m, found @ (matrix - m), matrix - m
        return 0.3 * np.sum(errors[0] ** 2) + 0.7 * np.sum(errors[1] ** 2) + level * np.sum(errors[2] ** 2)

    best = scipy.optimize.minimize(objective, np.zeros(12), method="BFGS", options={"gtol": 1e-8}).x.reshape(4, 3)
    np.testing.assert_allclose(target(found, dense, matrix, 0.3), best, atol=1e-6)


@given(st.integers(0, 1000), st.floats(0, 1), st.integers(1, 30))
def test_what_is_read_unchanged_or_may_not_be_compared_asks_for_the_matrix_itself(seed, share, tokens):
    found, dense, matrix = draw(tokens, 6, seed), draw(tokens, 6, seed + 1), draw(6, 4, seed + 2)
    np.testing.assert_allclose(target(found, found, matrix, share), matrix, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(target(found, dense, matrix, 0), matrix, rtol=1e-8, atol=1e-10)


def test_of_inputs_that_are_all_zero_the_target_is_the_matrix_itself():
    matrix = draw(5, 3, 0)
    np.testing.assert_array_equal(target(np.zeros((4, 5)), draw(4, 5, 1), matrix, 0.5), matrix)


def test_the_ridge_is_a_hundredth_of_the_mean_square_of_a_feature():
    assert RIDGE == 0.01
    found, dense, matrix = draw(9, 3, 0), draw(9, 3, 1), draw(3, 2, 2)
    gram, level = found.T @ found, 0.01 * np.trace(found.T @ found) / 3 * np.eye(3)
    expected = np.linalg.solve(gram + level, (found.T @ dense + level) @ matrix)
    np.testing.assert_allclose(target(found, dense, matrix, 1.0), expected, rtol=1e-10)


@given(st.integers(0, 1000), st.integers(1, 40), st.floats(1e-8, 1.0))
def test_the_smallest_eigenvalue_is_found_from_above(seed, tokens, level):
    """Also where many are nearly as small: those of a Gram matrix of few tokens and a ridge."""
    rows = draw(tokens, 24, seed)
    lower = np.linalg.cholesky(rows.T @ rows + level * np.eye(24))
    found, exact = least_eigenvalue(torch.from_numpy(lower)).item(), np.linalg.svd(lower, compute_uv=False)[-1] ** 2
    assert exact * (1 - 1e-6) <= found <= 1.1 * exact
