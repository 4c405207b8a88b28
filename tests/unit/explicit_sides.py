"""L and R of every weighting, built in NumPy from inputs and gradients token by token: for tests only."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from tests.unit.toy_calibration import READS, TOKENS, WINDOWS


def fisher_rows(toy, shape):
    """Roots of the squared gradients of each window's mean loss, summed over columns, averaged over windows and layers."""
    total = np.zeros(shape.rows)
    for layer in shape.layers:
        x = toy.inputs[READS[shape.role], layer].reshape(WINDOWS, -1, shape.rows)
        for window, gradients in zip(x, toy.outputs[shape.role, layer], strict=True):
            total += ((window.T @ gradients / len(window)) ** 2).sum(1) / WINDOWS
    return np.diag(np.sqrt(total / len(shape.layers))), np.eye(shape.width)


def absolute_mean(toy, shape):
    stacked = np.vstack([toy.inputs[READS[shape.role], layer] for layer in shape.layers])
    return np.diag(np.abs(stacked).mean(0) ** 0.5), np.eye(shape.width)


def whitening(toy, shape):
    """The activations themselves are a root of their moment."""
    stacked = np.vstack([toy.inputs[READS[shape.role], layer] for layer in shape.layers])
    return stacked / np.sqrt(len(shape.layers)), np.eye(shape.width)


def kronecker_fisher(toy, shape):
    """Roots of the damped means of xxᵀ and ggᵀ by eigenvalues."""

    def root(gram):
        values, vectors = np.linalg.eigh(gram + 0.01 * np.trace(gram) / len(gram) * np.eye(len(gram)))
        return vectors * np.sqrt(values) @ vectors.T

    stacked = np.vstack([toy.inputs[READS[shape.role], layer] for layer in shape.layers])
    flat = [toy.outputs[shape.role, layer].reshape(TOKENS, -1) for layer in shape.layers]
    return root(stacked.T @ stacked / len(stacked)), scipy.linalg.block_diag(*(root(g.T @ g / TOKENS) for g in flat))


def fitted_fisher(toy, shape):
    """Roots of the leading term of the rearranged Fisher matrix of the gradients of windows, with a ridge of 1e-6 of its diagonal."""
    inside, outside = [], []
    for layer in shape.layers:
        x = toy.inputs[READS[shape.role], layer].reshape(WINDOWS, -1, shape.rows)
        g = np.einsum("wti,wtj->wij", x, toy.outputs[shape.role, layer]) / (TOKENS // WINDOWS)
        rearranged = np.einsum("bik,bjl->ijkl", g, g).reshape(shape.rows**2, -1) / WINDOWS
        u, s, vt = np.linalg.svd(rearranged)
        for sides, vector, side in ((inside, u[:, 0], shape.rows), (outside, vt[0], shape.columns)):
            factor = s[0] ** 0.5 * vector.reshape(side, side)
            sides.append(factor * np.sign(np.trace(factor)))

    def root(factor):
        values, vectors = np.linalg.eigh(factor + 1e-6 * np.diag(np.diag(factor)))
        return vectors * np.sqrt(values.clip(1e-12 * values[-1])) @ vectors.T

    return root(np.mean(inside, axis=0)), scipy.linalg.block_diag(*map(root, outside))


def scalar_fisher(toy, shape):
    """The activations over the root of their number, and one number for all outputs: the root of the mean square of a gradient."""
    stacked = np.vstack([toy.inputs[READS[shape.role], layer] for layer in shape.layers])
    squares = np.mean([toy.outputs[shape.role, layer] ** 2 for layer in shape.layers])
    return stacked / np.sqrt(len(stacked)), np.sqrt(squares) * np.eye(shape.width)


EXPLICIT = {
    "identity": lambda toy, shape: (np.eye(shape.rows), np.eye(shape.width)),
    "fisher-rows": fisher_rows,
    "absolute-mean": absolute_mean,
    "whitening": whitening,
    "kronecker-fisher": kronecker_fisher,
    "fitted-fisher": fitted_fisher,
    "likeliest-fisher": kronecker_fisher,
    "scalar-fisher": scalar_fisher,
}
