"""The sides of a weighting against explicit L and R, built in NumPy from inputs and gradients token by token."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from drank.calibration.moments import NonFiniteError
from drank.spectra.decomposition import decompose
from drank.spectra.left_right import Sides
from drank.spectra.weightings import WEIGHTINGS
from tests.unit.explicit_sides import EXPLICIT
from tests.unit.toy_calibration import READS, SIDES, TOKENS, WINDOWS, calibrated


@pytest.fixture
def toy(tmp_path):
    return calibrated(tmp_path)


def sides_by(toy, name, **options):
    return Sides(toy.checkpoint, name, options, toy.moments, toy.gradients)


@pytest.mark.parametrize("group", [1, 2, 3])
@pytest.mark.parametrize("name", WEIGHTINGS)
def test_factors_of_every_weighting_have_the_least_weighted_error_at_every_rank(toy, name, group):
    """‖L (W − B_k C_k) R‖² is the tail of the squared singular values of L W R (Eckart-Young), to 1e-9 of itself.

    Fitted factors are found step by step, to 1e-11, which the smallest singular values feel a hundredfold and more.
    """
    sides, nearness = sides_by(toy, name), 1e-7 if name == "fitted-fisher" else 1e-9
    for shape in toy.checkpoint.shapes(group):
        root, right = EXPLICIT[name](toy, shape)
        matrix = toy.matrix(shape.role, shape.layers)
        sigma = np.linalg.svd(root @ matrix @ right, compute_uv=False)[: shape.max_rank]
        found = decompose(torch.from_numpy(matrix), *sides.of(shape))
        coefficients, duals = found.coefficients.numpy(), found.duals.numpy()
        np.testing.assert_allclose(found.energies.numpy(), sigma**2, rtol=nearness)
        best = np.append(np.cumsum(sigma[::-1] ** 2)[::-1], 0.0)
        rests = [matrix - matrix @ duals[:k].T @ coefficients[:k] for k in range(shape.max_rank + 1)]
        errors = [np.linalg.norm(root @ rest @ right) ** 2 for rest in rests]
        np.testing.assert_allclose(errors, best, rtol=nearness, atol=1e-20 * best[0])


def test_truncated_energy_of_kronecker_fisher_is_twice_the_rise_of_the_loss_per_token(toy):
    """½ E[(gᵀ Δᵀ x)²] over independent x and g, the second-order term of the loss when W becomes W − Δ."""
    (shape,) = (shape for shape in toy.checkpoint.shapes(1) if shape.name == "up.01")
    sides = sides_by(toy, "kronecker-fisher", damping=1e-12)
    matrix = toy.matrix("up", (1,))
    found = decompose(torch.from_numpy(matrix), *sides.of(shape))
    rest = matrix - matrix @ found.duals[:2].numpy().T @ found.coefficients[:2].numpy()
    x, g = toy.inputs["mlp", 1], toy.outputs["up", 1].reshape(TOKENS, -1)
    rise = 0.5 * np.mean((x @ rest @ g.T) ** 2)
    np.testing.assert_allclose(found.energies[2:].sum().item() / 2, rise, rtol=1e-8)


@pytest.mark.parametrize("group", [1, 2])
def test_scalar_fisher_has_the_factors_of_whitening_and_its_energies_in_units_of_the_loss(toy, group):
    """λ of whitening is a sum over tokens: a token's share of it, times the mean square of the group's gradients."""
    ours, whitened = sides_by(toy, "scalar-fisher"), sides_by(toy, "whitening")
    for shape in toy.checkpoint.shapes(group):
        matrix = torch.from_numpy(toy.matrix(shape.role, shape.layers))
        found, known = decompose(matrix, *ours.of(shape)), decompose(matrix, *whitened.of(shape))
        squares = np.mean([toy.outputs[shape.role, layer] ** 2 for layer in shape.layers])
        torch.testing.assert_close(found.energies, known.energies / TOKENS * squares, rtol=1e-9, atol=0)
        for k in range(1, shape.max_rank + 1):
            product, expected = (one.duals[:k].mT @ one.coefficients[:k] for one in (found, known))
            torch.testing.assert_close(product, expected, rtol=1e-7, atol=1e-9)


def test_roles_that_read_the_same_input_share_the_left_factor(toy):
    shapes = {shape.name: shape for shape in toy.checkpoint.shapes(1)}
    sides = sides_by(toy, "whitening")
    first = sides.of(shapes["q.00"])[0]
    assert sides.of(shapes["k.00"])[0] is first and sides.of(shapes["v.00"])[0] is first
    assert sides.of(shapes["o.00"])[0] is not first
    assert sides.key(shapes["q.00"]) != sides.key(shapes["q.01"])
    own = sides_by(toy, "fisher-rows")
    assert own.of(shapes["q.00"])[0] is not own.of(shapes["k.00"])[0]


@pytest.mark.parametrize("name", WEIGHTINGS)
@pytest.mark.parametrize("dead", ["inputs", "gradients"])
def test_a_dead_layer_has_finite_factors_of_which_the_whole_is_exact(toy, name, dead):
    for role, reads in READS.items():
        if dead == "inputs":
            toy.inputs[reads, 1] = np.zeros((TOKENS, SIDES[role][0]))
        else:
            toy.outputs[role, 1] = np.zeros((WINDOWS, TOKENS // WINDOWS, SIDES[role][1]))
    toy.write()
    sides = sides_by(toy, name)
    for group in (1, 2):
        for shape in toy.checkpoint.shapes(group):
            matrix = toy.matrix(shape.role, shape.layers)
            found = decompose(torch.from_numpy(matrix), *sides.of(shape))
            coefficients, duals = found.coefficients.numpy(), found.duals.numpy()
            assert np.isfinite(coefficients).all() and np.isfinite(duals).all()
            np.testing.assert_allclose(matrix @ duals.T @ coefficients, matrix, atol=1e-8)
            weighs = {
                "inputs": ("absolute-mean", "fisher-rows", "whitening", "scalar-fisher", "fitted-fisher"),
                "gradients": ("fisher-rows", "kronecker-fisher", "likeliest-fisher", "scalar-fisher", "fitted-fisher"),
            }
            if shape.layers == (1,) and name in weighs[dead]:
                assert not found.energies.any()
                sigma = np.linalg.svd(matrix, compute_uv=False)
                rest = matrix - matrix @ duals[:2].T @ coefficients[:2]
                np.testing.assert_allclose(np.linalg.norm(rest) ** 2, (sigma[2:] ** 2).sum(), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "broken", "said"),
    [
        ("whitening", "inputs", r"layer 1: the statistic attention, which weighs q, is not finite"),
        ("absolute-mean", "inputs", r"layer 1: the statistic attention.absolute, which weighs q"),
        ("fisher-rows", "outputs", r"layer 1: the statistic q.rows, which weighs q"),
        ("kronecker-fisher", "outputs", r"layer 1: the statistic q.outputs, which weighs q, is not finite; calibrate again in float32"),
    ],
)
def test_statistics_that_are_not_finite_are_named(toy, name, broken, said):
    getattr(toy, broken)[("attention" if broken == "inputs" else "q"), 1].flat[3] = np.nan
    toy.write()
    (shape,) = (shape for shape in toy.checkpoint.shapes(2) if shape.name == "q.00-01")
    with pytest.raises(NonFiniteError, match=said):
        sides_by(toy, name).of(shape)


def test_output_moments_without_rank_need_damping(toy):
    toy.outputs["q", 0][:, :, 2] = 0.0
    toy.write()
    (shape,) = (shape for shape in toy.checkpoint.shapes(1) if shape.name == "q.00")
    assert sides_by(toy, "kronecker-fisher").of(shape)[1] is not None
    with pytest.raises(ValueError, match=r"q\.00: .* larger `damping`"):
        sides_by(toy, "kronecker-fisher", damping=0.0).of(shape)


def test_gradients_are_asked_for_before_anything_is_done(toy):
    with pytest.raises(ValueError, match="fisher-rows is made of gradients"):
        Sides(toy.checkpoint, "fisher-rows", {}, toy.moments)
