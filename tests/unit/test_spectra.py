"""Spectra against dense NumPy: one decomposition gives λ and, for every rank at once, the best product of that rank."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from drank.moments import write_moments
from drank.plan import Shape
from drank.sources import Checkpoint
from drank.spectra import (
    Spectrum,
    decompose,
    effective_rank,
    read_coefficients,
    read_summary,
    spectra_of,
    square_root,
    write_spectra,
)

SHAPES = [(12, 30), (30, 12), (20, 20)]


def random_matrix(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns))


def random_gram(size: int, tokens: int, spread: float = 0.0, seed: int = 1) -> np.ndarray:
    """XᵀX of `tokens` rows whose features differ in scale by up to 10^spread."""
    x = random_matrix(tokens, size, seed) * np.logspace(0, spread, size)
    return x.T @ x


def decomposed(matrix: np.ndarray, gram: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    energies, coefficients = decompose(torch.from_numpy(matrix), None if gram is None else torch.from_numpy(gram))
    assert energies.dtype == coefficients.dtype == torch.float64
    return energies.numpy(), coefficients.numpy()


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
        root = square_root(torch.from_numpy(gram)).numpy()
        np.testing.assert_allclose(root.T @ root, gram, atol=1e-10 * np.abs(gram).max())
    assert not square_root(torch.zeros(4, 4, dtype=torch.float64)).any()


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


@given(st.integers(1, 500), SCALES)
def test_equal_energies_have_their_number_as_effective_rank(count, level):
    assert effective_rank([level] * count) == pytest.approx(count)
    assert effective_rank([level] * count + [0.0] * 7) == pytest.approx(count)


def test_effective_rank_by_hand():
    """λ = 1/2, 1/4, 1/4: entropy 1.5 ln 2, so R_eff = 2^1.5."""
    assert effective_rank([8.0, 4.0, 4.0]) == pytest.approx(2**1.5)
    p = np.array([9.0, 4.0, 1.0]) / 14
    assert effective_rank(torch.tensor([9.0, 4.0, 1.0])) == pytest.approx(math.exp(-(p * np.log(p)).sum()))
    assert effective_rank([3.0**2, 1.0]) != pytest.approx(effective_rank([3.0, 1.0])), "energies are squared singular values"


def test_effective_rank_of_nothing_is_one():
    assert effective_rank([]) == effective_rank([0.0, 0.0]) == effective_rank([5.0]) == 1.0


@given(st.lists(st.floats(0, 1e100), min_size=1, max_size=50), SCALES)
def test_effective_rank_lies_between_one_and_the_number_of_energies(energies, scale):
    value = effective_rank(energies)
    assert 1 - 1e-9 <= value <= max(1, sum(energy > 0 for energy in energies)) * (1 + 1e-9)
    assert effective_rank([scale * energy for energy in energies]) == pytest.approx(value, rel=1e-6)
    assert effective_rank(energies[::-1]) == pytest.approx(value)


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=10))
def test_evening_out_two_energies_raises_the_effective_rank(energies):
    mean = (energies[0] + energies[1]) / 2
    assert effective_rank([mean, mean, *energies[2:]]) >= effective_rank(energies) * (1 - 1e-9)


@pytest.fixture
def checkpoint(tmp_path) -> Checkpoint:
    """A directory with the weights of a Llama model of 3 layers, hidden size 6, grouped keys and values, and nothing else."""
    sides = {"q_proj": (6, 6), "k_proj": (4, 6), "v_proj": (4, 6), "o_proj": (6, 6)}
    mlp = {"gate_proj": (9, 6), "up_proj": (9, 6), "down_proj": (6, 9)}
    tensors = {}
    for layer in range(3):
        for part, group in (("self_attn", sides), ("mlp", mlp)):
            for index, (name, shape) in enumerate(group.items()):
                values = torch.from_numpy(random_matrix(*shape, seed=10 * layer + index))
                tensors[f"model.layers.{layer}.{part}.{name}.weight"] = values.float().contiguous()
    directory = tmp_path / "model"
    directory.mkdir()
    save_file(tensors, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": 3}))
    return Checkpoint(directory)


@pytest.fixture
def moments(tmp_path):
    """Moments that differ between layers and inputs."""
    names = {"attention": 6, "heads": 6, "mlp": 6, "hidden": 9}

    def layers():
        for layer in range(3):
            yield {name: torch.from_numpy(random_gram(size, 40, seed=layer + 7 * size + i)) for i, (name, size) in enumerate(names.items())}

    write_moments(tmp_path / "moments", layers(), {"windows": 4})
    return tmp_path / "moments"


def test_spectra_of_a_model_sum_the_moments_of_a_group_and_read_the_right_input(checkpoint, moments):
    from drank.moments import read_moments

    found = {spectrum.shape.name: spectrum for spectrum in spectra_of(checkpoint, moments, "whitening", 2)}
    assert list(found) == [
        *("q.00-01", "q.02", "k.00-01", "k.02", "v.00-01", "v.02", "o.00", "o.01", "o.02"),
        *("gate.00-01", "gate.02", "up.00-01", "up.02", "down.00", "down.01", "down.02"),
    ]
    reads = {"q": "attention", "k": "attention", "v": "attention", "o": "heads", "gate": "mlp", "up": "mlp", "down": "hidden"}
    for spectrum in found.values():
        shape = spectrum.shape
        gram = sum(read_moments(moments, layer, reads[shape.role]).numpy() for layer in shape.layers)
        matrix = checkpoint.group_matrix(shape).numpy()
        assert matrix.shape == (shape.rows, shape.width)
        sigma = np.linalg.svd(scipy.linalg.cholesky(gram) @ matrix, compute_uv=False)
        np.testing.assert_allclose(spectrum.energies.numpy(), sigma**2, rtol=1e-9)
        assert spectrum.coefficients.dtype == torch.float32
        best = tails(sigma**2)
        np.testing.assert_allclose(losses(matrix, gram, spectrum.coefficients.double().numpy()), best, atol=1e-6 * best[0])


def test_identity_spectra_do_not_depend_on_the_moments(checkpoint, moments):
    for spectrum in spectra_of(checkpoint, moments, "identity", 1):
        sigma = np.linalg.svd(checkpoint.group_matrix(spectrum.shape).numpy(), compute_uv=False)
        np.testing.assert_allclose(spectrum.energies.numpy(), sigma**2, rtol=1e-9)


def test_spectra_come_back_from_their_files(checkpoint, moments, tmp_path):
    spectra = list(spectra_of(checkpoint, moments, "whitening", 2))
    write_spectra(tmp_path / "spectra" / "whitening-n2.safetensors", iter(spectra), {"model": "m", "group": 2})
    shapes, density = read_summary(tmp_path / "spectra" / "whitening-n2.json")
    assert shapes == [spectrum.shape for spectrum in spectra]
    assert density == {spectrum.shape.name: effective_rank(spectrum.energies.tolist()) for spectrum in spectra}
    ranks = {spectrum.shape.name: 1 + index % spectrum.shape.max_rank for index, spectrum in enumerate(spectra)}
    stored = load_file(tmp_path / "spectra" / "whitening-n2.safetensors")
    sliced = read_coefficients(tmp_path / "spectra" / "whitening-n2.safetensors", ranks)
    for spectrum in spectra:
        name = spectrum.shape.name
        assert torch.equal(stored[f"{name}.energies"], spectrum.energies)
        assert torch.equal(sliced[name], spectrum.coefficients[: ranks[name]])
    text = json.loads((tmp_path / "spectra" / "whitening-n2.json").read_text())
    assert (text["model"], text["group"], len(text["groups"])) == ("m", 2, len(spectra))


def test_an_interrupted_spectrum_leaves_no_file(tmp_path):
    def failing():
        yield Spectrum(Shape("q", (0,), 2, 2), torch.ones(2), torch.eye(2))
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_spectra(tmp_path / "s.safetensors", failing(), {})
    assert list(tmp_path.iterdir()) == []
