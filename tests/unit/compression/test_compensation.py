"""The compensated refit: its targets against least squares and a minimiser, the factors they ask for, and what they do to a model."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st

from drank.compression.compensation import RIDGE, PairedSums, compensate, target_of
from drank.compression.refit import refit, refit_coefficients
from drank.models.families import blocks_of, projections_of
from drank.models.lowrank import LowRankLinear, matrix_of
from drank.models.residency import open_skeleton
from drank.spectra.sides import Sides
from drank.spectra.spectrum import read_bases
from drank.steps.finite import NonFiniteError
from tests.unit.compressed_llama import SIDE, measured


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return measured(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    """The same with bases shared by two layers, and the last layer alone."""
    return measured(tmp_path_factory.mktemp("paired"), group=2)


def draw(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns))


def target(found: np.ndarray, dense: np.ndarray, matrix: np.ndarray, share: float) -> np.ndarray:
    return target_of(*map(torch.from_numpy, (found.T @ found, found.T @ dense, matrix)), share).numpy()


def ridge(found: np.ndarray) -> float:
    return 0.01 * np.diag(found.T @ found).mean()


def inputs_of(model, windows: torch.Tensor) -> dict[tuple[int, str], torch.Tensor]:
    """X of every projection in one pass of the whole model, (tokens, d1)."""
    found, handles = {}, []
    for layer, projection, module in projections_of(model):

        def hook(_module, args, key=(layer, projection.role)):
            found[key] = args[0].detach().flatten(0, -2)

        handles.append(module.register_forward_pre_hook(hook))
    with torch.no_grad():
        model(windows)
    for handle in handles:
        handle.remove()
    return found


def product_of(module: torch.nn.Module) -> torch.Tensor:
    """The matrix of a projection, whether stored dense or as factors."""
    if isinstance(module, LowRankLinear):
        return module.basis.weight.detach().mT @ module.coefficients.weight.detach().mT
    return matrix_of(module).detach()


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


def test_sums_of_pairs_are_exact_over_many_batches():
    sums, rows = PairedSums(4, torch.device("cpu")), [torch.from_numpy(draw(2500, 4, seed)) for seed in range(4)]
    for found, dense in ((rows[0], rows[1]), (rows[2], rows[3])):
        sums.add(found, dense)
    found, dense = torch.cat(rows[::2]), torch.cat(rows[1::2])
    torch.testing.assert_close(sums.gram, found.mT @ found)
    torch.testing.assert_close(sums.cross, found.mT @ dense)
    half = PairedSums(4, torch.device("cpu"))
    half.add(rows[0].bfloat16(), rows[1].bfloat16())
    assert half.gram.dtype == torch.float64
    torch.testing.assert_close(half.gram, rows[0].bfloat16().double().mT @ rows[0].bfloat16().double(), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_every_projection_gets_what_its_target_asks_for_block_by_block(share, toy):
    """By hand: inputs from whole passes of a model whose earlier blocks are refitted and whose own are as converted."""
    plan = toy.plan(3, dense=["o.01"])
    model, dense = toy.compressed(plan), toy.dense()
    expected = copy.deepcopy(model)
    originals = inputs_of(dense, toy.windows)
    matrices = {(layer, p.role): matrix_of(module).detach() for layer, p, module in projections_of(dense)}
    bases = read_bases(toy.spectra, {group.shape.name: 3 for group in plan.groups})
    for layer in range(3):
        seen = inputs_of(expected, toy.windows)
        for at, projection, module in projections_of(expected):
            if at != layer:
                continue
            x, y, w = seen[at, projection.role], originals[at, projection.role], matrices[at, projection.role]
            level = 0.01 * (x.mT @ x).diagonal().mean()
            eye = level * torch.eye(len(w), dtype=torch.float64)
            wanted = torch.linalg.solve(x.mT @ x + eye, (share * x.mT @ y + (1 - share) * x.mT @ x + eye) @ w)
            if not isinstance(module, LowRankLinear):
                module.weight.data = wanted.mT
                continue
            _, duals = (part.double() for part in bases[f"{projection.role}.{layer:02d}"])
            basis = wanted @ duals.mT
            tall = torch.cat([x @ basis, level.sqrt() * basis])
            fitted = torch.linalg.lstsq(tall, torch.cat([x @ wanted, level.sqrt() * wanted])).solution
            module.basis.weight.data, module.coefficients.weight.data = basis.mT, fitted.mT
    compensate(model, toy.dense(), plan, toy.spectra, toy.windows, batch=5, share=share)
    assert not isinstance(model.model.layers[1].self_attn.o_proj, LowRankLinear)
    for (layer, projection, module), (_, _, by_hand) in zip(projections_of(model), projections_of(expected), strict=True):
        found, wanted = product_of(module), product_of(by_hand)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * wanted.abs().max().item(), msg=f"{projection.role}.{layer}")
    assert all(not module._forward_pre_hooks for module in [*model.modules(), *dense.modules()])


def test_the_result_does_not_depend_on_the_batch(toy):
    plan, products = toy.plan(3), []
    for batch in (1, 12):
        model = toy.compressed(plan)
        compensate(model, toy.dense(), plan, toy.spectra, toy.windows, batch=batch)
        products.append([product_of(module) for _, _, module in projections_of(model)])
    for one, other in zip(*products, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_coefficients_are_the_best_for_their_basis_on_what_is_really_read(toy):
    """No other coefficients come nearer to T: the last stage is not undone by the first."""
    plan = toy.plan(4)
    model = toy.compressed(plan)
    seen, originals = inputs_of(model, toy.windows), inputs_of(toy.dense(), toy.windows)  # equal for the first block
    compensate(model, toy.dense(), plan, toy.spectra, toy.windows)
    module, x, y = model.model.layers[0].mlp.down_proj, seen[0, "down"], originals[0, "down"]
    w = matrix_of(toy.dense().model.layers[0].mlp.down_proj).detach()
    wanted, eye = target_of(x.mT @ x, x.mT @ y, w, 0.5), 0.01 * (x.mT @ x).diagonal().mean() * torch.eye(len(w), dtype=w.dtype)

    def error(product: torch.Tensor) -> float:
        gap = wanted - product
        return torch.trace(gap.mT @ (x.mT @ x + eye) @ gap).item()

    basis, coefficients = (part.weight.detach().mT for part in (module.basis, module.coefficients))
    best = error(basis @ coefficients)
    for seed in range(20):
        noise = torch.from_numpy(draw(*coefficients.shape, seed))
        assert error(basis @ (coefficients + 1e-3 * noise)) > best


@pytest.mark.parametrize("weighting", ["kronecker-fisher", "whitening"])
def test_t_times_the_duals_is_the_best_basis_for_its_rows_under_the_norm_of_the_method(weighting, tmp_path):
    """‖L (T − B C) R‖ by least squares on vec(B), for a T that is not W."""
    toy = measured(tmp_path, weighting=weighting)
    statistics = (tmp_path / "moments", tmp_path / "gradients")
    sides = Sides(toy.checkpoint, weighting, {}, *statistics)
    for shape in [shape for shape in toy.checkpoint.shapes(1) if shape.name in ("q.00", "up.01", "down.02")]:
        left, right = sides.of(shape)
        root, side = left.root, torch.eye(shape.columns, dtype=torch.float64) if right is None else right[0]
        coefficients, duals = (part.double() for part in read_bases(toy.spectra, {shape.name: 3})[shape.name])
        wanted = toy.checkpoint.group_matrix(shape) + 0.3 * torch.from_numpy(draw(shape.rows, shape.columns, 1))
        best = torch.linalg.lstsq((coefficients @ side).mT, (wanted @ side).mT, driver="gelsd").solution.mT
        torch.testing.assert_close(wanted @ duals.mT, best, rtol=1e-3, atol=1e-4)

        def error(basis, root=root, side=side, wanted=wanted, coefficients=coefficients):
            return (root @ (wanted - basis @ coefficients) @ side).norm().item()

        lowest = error(wanted @ duals.mT)
        assert lowest <= error(best) * (1 + 1e-5)
        assert all(error(wanted @ duals.mT + 0.05 * torch.from_numpy(draw(shape.rows, 3, seed))) > lowest for seed in range(5))


def test_shared_bases_stay_and_get_new_coefficients(paired):
    plan = paired.plan(4)
    model, before = paired.compressed(plan), paired.compressed(plan)
    compensate(model, paired.dense(), plan, paired.spectra, paired.windows)
    for (layer, projection, module), (_, _, old) in zip(projections_of(model), projections_of(before), strict=True):
        shared = layer < 2 and any(group.shape.role == projection.role and len(group.shape.layers) == 2 for group in plan.groups)
        assert torch.equal(module.basis.weight, old.basis.weight) == shared
        assert not torch.equal(module.coefficients.weight, old.coefficients.weight)
    first, second = (model.model.layers[layer].mlp.up_proj for layer in (0, 1))
    assert first.basis is second.basis


def test_a_shared_basis_is_refitted_towards_the_target_of_each_layer(paired):
    plan = paired.plan(4)
    model, before = paired.compressed(plan), paired.compressed(plan)
    compensate(model, paired.dense(), plan, paired.spectra, paired.windows)
    half = paired.compressed(plan)
    for name, parameter in half.model.layers[0].named_parameters():
        parameter.data.copy_(model.model.layers[0].get_parameter(name))
    x, y = (inputs_of(one, paired.windows)[1, "q"] for one in (half, paired.dense()))
    gram = x.mT @ x
    w = matrix_of(paired.dense().model.layers[1].self_attn.q_proj).detach()
    old = before.model.layers[1].self_attn.q_proj
    basis, coefficients = old.basis.weight.detach().mT, old.coefficients.weight.detach().mT
    damped = gram + 0.01 * gram.diagonal().mean() * torch.eye(SIDE, dtype=gram.dtype)
    fitted = refit_coefficients(basis, coefficients, damped, target_of(gram, x.mT @ y, w, 0.5))
    found = model.model.layers[1].self_attn.q_proj.coefficients.weight.detach().mT
    torch.testing.assert_close(found, fitted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("group", [1, 2])
def test_where_nothing_is_lost_nothing_changes(group, toy, paired):
    """Factors of the full rank are exact, so that X' = X and T = W."""
    one = toy if group == 1 else paired
    full = one.plan(SIDE)
    model = one.compressed(full) if group == 1 else one.dense()
    plan = full if group == 1 else one.plan(SIDE, dense=[shape.name for shape in one.checkpoint.shapes(2)])
    with torch.no_grad():
        expected = one.dense()(one.windows).logits
        compensate(model, one.dense(), plan, one.spectra, one.windows)
        torch.testing.assert_close(model(one.windows).logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rank", [3, 5, 7])
def test_every_block_gives_what_is_nearer_to_the_dense_models_than_without_or_by_a_plain_refit(rank, toy):
    """Of random weights too, by hidden states on the calibration windows."""
    plan, dense = toy.plan(rank), toy.dense()
    plain, refitted, model = (toy.compressed(plan) for _ in range(3))
    refit(refitted, toy.checkpoint, toy.windows)
    compensate(model, toy.dense(), plan, toy.spectra, toy.windows)

    def errors(one: torch.nn.Module) -> np.ndarray:
        with torch.no_grad():
            found, wanted = (each(toy.windows, output_hidden_states=True).hidden_states[1:] for each in (one, dense))
        return np.array([(a - b).norm().item() for a, b in zip(found, wanted, strict=True)])

    assert len(errors(model)) == 3
    assert (errors(model) < 0.95 * np.minimum(errors(plain), errors(refitted))).all()


def test_a_skeleton_of_the_dense_model_serves_as_well(toy):
    plan = toy.plan(3, dense=["o.01"])
    models = toy.compressed(plan), toy.compressed(plan)
    skeleton = open_skeleton(toy.directory)
    for model, dense in zip(models, (toy.dense(), skeleton), strict=True):
        compensate(model, dense, plan, toy.spectra, toy.windows, batch=4)
    for name, value in models[0].state_dict().items():
        assert torch.equal(value, models[1].state_dict()[name])
    assert all(parameter.is_meta for block in blocks_of(skeleton) for parameter in block.parameters())


def test_inputs_that_are_not_finite_name_the_layer_and_leave_no_hook(toy):
    plan = toy.plan(3)
    model = toy.compressed(plan)
    model.model.layers[1].input_layernorm.weight.data[2] = math.inf
    with pytest.raises(NonFiniteError, match=r"layer 1: the moments of the input of .*are not finite; run in float32"):
        compensate(model, toy.dense(), plan, toy.spectra, toy.windows)
    assert all(not module._forward_pre_hooks for module in model.modules())


def test_a_dense_model_that_is_not_finite_is_named_too(toy):
    dense = toy.dense()
    dense.model.layers[2].post_attention_layernorm.weight.data[2] = math.nan
    plan = toy.plan(3)
    with pytest.raises(NonFiniteError, match="layer 2: the moments of the input of mlp"):
        compensate(toy.compressed(plan), dense, plan, toy.spectra, toy.windows)
