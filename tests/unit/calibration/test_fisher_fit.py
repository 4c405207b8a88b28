"""The Kronecker factors of the Fisher matrix of single windows, against the dense rearranged matrix."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drank.calibration.fisher_fit import AT_ONCE, WindowGradients, kronecker_factors
from drank.calibration.passes import INPUT_SIDE, OUTPUT_SIDE


def dense(gradients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By the SVD of the rearranged Fisher matrix: its entry (ij, kl) is the mean over windows of G_ik G_jl."""
    count, rows, columns = gradients.shape
    fisher = np.einsum("bik,bjl->ijkl", gradients, gradients) / count
    u, s, vt = np.linalg.svd(fisher.reshape(rows * rows, columns * columns))
    x, y = u[:, 0].reshape(rows, rows) * s[0] ** 0.5, vt[0].reshape(columns, columns) * s[0] ** 0.5
    return (x, y) if np.trace(x) > 0 else (-x, -y)


@pytest.mark.parametrize(("dtype", "nearness"), [(torch.float64, 1e-9), (torch.float32, 1e-6)])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e4])
def test_factors_are_those_of_the_dense_computation(dtype, nearness, size):
    """12 × 8 and 40 windows, whose gradients share directions as those of a text do."""
    draw = np.random.default_rng(3)
    shared = draw.normal(size=(3, 12, 8))
    gradients = torch.tensor(size * (draw.normal(size=(40, 3)) @ shared.reshape(3, -1)).reshape(40, 12, 8), dtype=dtype)
    gradients += size * 0.5 * torch.tensor(draw.normal(size=(40, 12, 8)), dtype=dtype)
    expected = dense(gradients.double().numpy())
    for found, wanted in zip(kronecker_factors(gradients), expected, strict=True):
        assert np.linalg.norm(found.numpy() - wanted) <= nearness * np.linalg.norm(wanted)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 6), st.integers(0, 1000))
def test_the_product_is_no_worse_than_any_other(rows, columns, count, seed):
    """Symmetric, positive semidefinite, and in Frobenius norm as near as the singular values allow."""
    gradients = torch.randn(count, rows, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x, y = kronecker_factors(gradients)
    for side in (x, y):
        assert torch.equal(side, side.mT) and torch.linalg.eigvalsh(side)[0] >= -1e-9 * side.norm()
    flat = gradients.flatten(1)
    fisher = flat.mT @ flat / count
    spectrum = torch.linalg.svdvals(torch.einsum("bik,bjl->ijkl", gradients, gradients).reshape(rows * rows, columns * columns) / count)
    assert (fisher - torch.kron(x, y)).norm() <= spectrum[1:].norm() + 1e-6 * fisher.norm()


def test_gradients_of_one_window_or_none():
    one = torch.tensor([[[1.0, 2.0], [0.0, 1.0]]], dtype=torch.float64)
    x, y = kronecker_factors(one)
    np.testing.assert_allclose(torch.kron(x, y), np.kron(*dense(one.numpy())), atol=1e-12)
    for nothing in (torch.zeros(3, 2, 4), torch.zeros(0, 2, 4)):
        x, y = kronecker_factors(nothing)
        assert x.shape == (2, 2) and y.shape == (4, 4) and not x.any() and not y.any()


def test_windows_that_do_not_reach_an_expert_count_as_zeros():
    draw = torch.randn(5, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole = kronecker_factors(torch.cat([draw, torch.zeros(7, 4, 3, dtype=torch.float64)]))
    for found, wanted in zip(kronecker_factors(draw, 12), whole, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


def test_what_an_interrupted_block_left_is_not_counted(tmp_path):
    draw = torch.randn(6, 3, 2, generator=torch.Generator().manual_seed(0))
    WindowGradients(tmp_path / "kept").keeper("q")(draw[0])
    kept = WindowGradients(tmp_path / "kept")
    for one in draw:
        kept.keeper("q")(one)
    found = kept.factors({"q": draw[0], "k": draw[0]}, 0.5, 6)
    x, y = kronecker_factors(draw)
    torch.testing.assert_close(found[f"q.{INPUT_SIDE}"], x / 2)
    torch.testing.assert_close(found[f"q.{OUTPUT_SIDE}"], y / 2)
    assert not found[f"k.{INPUT_SIDE}"].any(), "no window reached it"


def test_a_device_gets_a_few_windows_at_a_time(tmp_path, monkeypatch):
    """The gradients of 256 windows by a projection of 4096 × 11008 are 46 GB."""
    draw = torch.randn(3 * AT_ONCE + 1, 3, 2, generator=torch.Generator().manual_seed(0))
    kept, moved, real = WindowGradients(tmp_path / "kept"), [], torch.Tensor.to
    for one in draw:
        kept.keeper("q")(one)

    def to(tensor, *told, **options):
        if any(isinstance(one, torch.device) for one in told):
            moved.append(tuple(tensor.shape))
        return real(tensor, *told, **options)

    monkeypatch.setattr(torch.Tensor, "to", to)
    kept.factors({"q": draw[0]}, 1.0, len(draw))
    assert set(moved) == {(AT_ONCE, 3, 2), (1, 3, 2)}
