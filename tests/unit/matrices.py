"""Matrices and second moments, well-behaved and degenerate, and what a decomposition of them loses by definition."""

from __future__ import annotations

import numpy as np
import torch

from drank.spectra.decomposition import Left, decompose

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
