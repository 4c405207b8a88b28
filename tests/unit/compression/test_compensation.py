"""The compensated refit of every projection: by hand block by block, the best of its kind, and with bases that layers share."""

from __future__ import annotations

import copy

import pytest
import torch

from drank.compression.compensation import compensate
from drank.compression.refit import refit_coefficients
from drank.compression.target import target_of
from drank.models.families import projections_of
from drank.models.lowrank import LowRankLinear, matrix_of
from drank.spectra.left_right import Sides
from drank.spectra.spectrum import read_bases
from tests.unit.compressed_llama import SIDE, draw, inputs_of, measured, product_of


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


def test_coefficients_are_the_best_for_their_basis_on_what_is_really_read(toy):
    """No other coefficients come nearer to T: the last stage is not undone by the first."""
    plan = toy.plan(4)
    model = toy.compressed(plan)
    seen, originals = inputs_of(model, toy.windows), inputs_of(toy.dense(), toy.windows)  # equal for the first block
    compensate(model, toy.dense(), plan, toy.spectra, toy.windows)
    module, x, y = model.model.layers[0].mlp.down_proj, seen[0, "down"], originals[0, "down"]
    w = matrix_of(toy.dense().model.layers[0].mlp.down_proj).detach()
    wanted, eye = target_of(x.mT @ x, x.mT @ (y - x), w, 0.5, 0.01), 0.01 * (x.mT @ x).diagonal().mean() * torch.eye(len(w), dtype=w.dtype)

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
    fitted = refit_coefficients(basis, coefficients, damped, target_of(gram, x.mT @ (y - x), w, 0.5, 0.01))
    found = model.model.layers[1].self_attn.q_proj.coefficients.weight.detach().mT
    torch.testing.assert_close(found, fitted, rtol=1e-4, atol=1e-5)
