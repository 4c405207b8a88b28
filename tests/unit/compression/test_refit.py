"""The refit against the normal equations and a least-squares solve on explicit inputs, and the order of its blocks."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from drank.allocation.plan import Plan
from drank.calibration.moments import calibrate
from drank.compression.factors import factors_of
from drank.compression.refit import refit, refit_coefficients
from drank.models.conversion import convert
from drank.models.groups import Group
from drank.models.lowrank import LowRankLinear
from drank.models.weights import Checkpoint
from drank.spectra.spectrum import decompose_model
from tests.unit.compressed_llama import draw, inputs_at


def refitted(basis: np.ndarray, coefficients: np.ndarray, gram: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return refit_coefficients(*map(torch.from_numpy, (basis, coefficients, gram, matrix))).numpy()


@pytest.mark.parametrize("columns", [5, 30])
def test_refit_is_the_normal_equation_and_the_least_squares_solution(columns):
    """C' = (Bᵀ G' B)⁻¹ Bᵀ G' W, the C that minimises ‖X' (W − B C)‖."""
    basis, old, inputs, matrix = draw(16, 4, 0), draw(4, columns, 1), draw(100, 16, 2), draw(16, columns, 3)
    gram = inputs.T @ inputs
    fitted = refitted(basis, old, gram, matrix)
    np.testing.assert_allclose(fitted, np.linalg.solve(basis.T @ gram @ basis, basis.T @ gram @ matrix), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(fitted, np.linalg.lstsq(inputs @ basis, inputs @ matrix)[0], rtol=1e-9, atol=1e-11)


@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 40))
def test_refit_never_fits_worse_than_before(seed, rank, tokens):
    basis, old, inputs, matrix = draw(12, rank, seed), draw(rank, 9, seed + 1), draw(tokens, 12, seed + 2), draw(12, 9, seed + 3)

    def error(coefficients):
        return np.linalg.norm(inputs @ (matrix - basis @ coefficients))

    fitted = refitted(basis, old, inputs.T @ inputs, matrix)
    assert error(fitted) <= error(old) * (1 + 1e-9)
    best = np.linalg.lstsq(inputs @ basis, inputs @ matrix)[0]
    assert error(fitted) <= error(best) + 1e-6 * np.linalg.norm(inputs @ matrix)


def test_directions_that_the_inputs_never_excite_keep_their_coefficients():
    """Two tokens, a basis of four: what X' B cannot see stays as it was, what it sees is fitted."""
    basis, old, inputs, matrix = draw(10, 4, 0), draw(4, 6, 1), draw(2, 10, 2), draw(10, 6, 3)
    basis /= np.linalg.norm(basis, axis=0)
    fitted = refitted(basis, old, inputs.T @ inputs, matrix)
    seen = inputs @ basis
    blind = np.linalg.svd(seen)[2][2:]
    assert np.abs(seen @ blind.T).max() < 1e-12
    np.testing.assert_allclose(blind @ fitted, blind @ old, atol=1e-9)
    np.testing.assert_allclose(seen @ fitted, inputs @ matrix, atol=1e-9)


def test_inputs_that_are_all_zero_change_nothing():
    basis, old, matrix = draw(10, 4, 0), draw(4, 6, 1), draw(10, 6, 3)
    np.testing.assert_array_equal(refitted(basis, old, np.zeros((10, 10)), matrix), old)


def test_an_optimal_pair_stays_as_it_is():
    """Factors from the same moments are the optimum already."""
    inputs, matrix = draw(60, 10, 0), draw(10, 14, 1)
    u, sigma, vh = np.linalg.svd(inputs @ matrix, full_matrices=False)
    coefficients = vh[:3]
    fitted = refitted(matrix @ coefficients.T, coefficients, inputs.T @ inputs, matrix)
    np.testing.assert_allclose(fitted, coefficients, atol=1e-10)


def test_badly_scaled_bases_are_fitted_too():
    """Columns of B = W V shrink with σ, here over five orders of magnitude."""
    basis, inputs, matrix = draw(12, 6, 0) * np.logspace(0, -5, 6), draw(80, 12, 1), draw(12, 8, 2)
    fitted = refitted(basis, np.zeros((6, 8)), inputs.T @ inputs, matrix)
    best = np.linalg.lstsq(inputs @ basis, inputs @ matrix)[0]
    np.testing.assert_allclose(inputs @ basis @ fitted, inputs @ basis @ best, atol=1e-6)


def test_directions_that_few_tokens_hardly_excite_keep_their_coefficients():
    """One of three inputs has a ten-millionth of the energy of the others, then a hundred-thousandth."""
    basis, matrix = np.eye(3), np.zeros((3, 2))
    gram = np.diag([1.0, 1.0, 1e-7])
    fitted = refitted(basis, np.ones((3, 2)), gram, matrix)
    np.testing.assert_allclose(fitted, [[0, 0], [0, 0], [1, 1]], atol=1e-12)
    gram[2, 2] = 1e-5
    np.testing.assert_allclose(refitted(basis, np.ones((3, 2)), gram, matrix), np.zeros((3, 2)), atol=1e-12)


@pytest.fixture
def compressed(tmp_path):
    """A small Llama in float64 with groups of two layers at low ranks and one projection left dense, its checkpoint, and windows."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "num_hidden_layers": 3, "vocab_size": 50}
    model = LlamaForCausalLM(LlamaConfig(**sizes, initializer_range=0.3)).double().eval()
    model.save_pretrained(tmp_path / "model")
    windows, checkpoint = torch.randint(0, 50, (6, 12)), Checkpoint(tmp_path / "model")
    calibrate(model, windows, tmp_path / "moments", {}, batch=4)
    decompose_model(checkpoint, tmp_path / "s", moments=tmp_path / "moments", group=2, facts={})
    groups = tuple(Group(shape, 1.0, 5, dense=shape.name == "o.01") for shape in checkpoint.shapes(2))
    plan = Plan("m", "x", 0.5, {}, groups)
    convert(model, plan.groups, factors_of(checkpoint, plan, tmp_path / "s"))
    return model, checkpoint, windows


def inputs_of(model, windows) -> dict[str, torch.Tensor]:
    """X of every low-rank projection, one row per token, by module name."""
    return inputs_at(model, windows, {name: module for name, module in model.named_modules() if isinstance(module, LowRankLinear)})


def solved(module, inputs, checkpoint, name) -> torch.Tensor:
    """(Bᵀ G' B)⁻¹ Bᵀ G' W by least squares on the inputs themselves."""
    basis, layer = module.basis.weight.detach().mT, int(name.split(".")[2])
    role = name.rpartition(".")[2].removesuffix("_proj")
    return torch.linalg.lstsq(inputs @ basis, inputs @ checkpoint.matrix(layer, role)).solution


def coefficients_of(model) -> dict[str, torch.Tensor]:
    found = {name: module.coefficients.weight for name, module in model.named_modules() if isinstance(module, LowRankLinear)}
    return {name: weight.detach().mT.clone() for name, weight in found.items()}


def test_a_refit_at_once_solves_with_the_inputs_of_the_model_as_it_was(compressed):
    model, checkpoint, windows = compressed
    before, inputs = copy.deepcopy(model), inputs_of(model, windows)
    assert len(inputs) == 20, "of 21 projections one is dense"
    expected = {name: solved(before.get_submodule(name), x, checkpoint, name) for name, x in inputs.items()}
    refit(model, checkpoint, windows, batch=4, order="at-once")
    found = coefficients_of(model)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-5, atol=1e-6)
    stale = coefficients_of(before)
    assert max((found[name] - stale[name]).abs().max() for name in found if ".2." in name) > 1e-3, "the last layer's inputs deviate"


def test_a_refit_in_order_solves_with_the_inputs_that_refitted_blocks_produce(compressed):
    model, checkpoint, windows = compressed
    expected = copy.deepcopy(model)
    for layer in range(3):
        fitted = {}
        for name, x in inputs_of(expected, windows).items():
            if f"layers.{layer}." in name:
                fitted[name] = solved(expected.get_submodule(name), x, checkpoint, name)
        for name, values in fitted.items():
            expected.get_submodule(name).coefficients.weight.data = values.mT
    at_once = copy.deepcopy(model)
    refit(at_once, checkpoint, windows, order="at-once")
    refit(model, checkpoint, windows, batch=4)
    found, once = coefficients_of(model), coefficients_of(at_once)
    for name, values in coefficients_of(expected).items():
        torch.testing.assert_close(found[name], values, rtol=1e-5, atol=1e-6)
        same = torch.allclose(found[name], once[name], rtol=1e-5, atol=1e-6)
        assert same == (".layers.0." in name), "only the first block sees the same inputs in both orders"


def test_another_order_is_refused_before_the_model_is_touched(compressed):
    model, checkpoint, windows = compressed
    before = coefficients_of(model)
    with pytest.raises(ValueError, match="order 'backwards' is unknown; known: in-order, at-once"):
        refit(model, checkpoint, windows, order="backwards")
    assert all(torch.equal(values, before[name]) for name, values in coefficients_of(model).items())
