"""Anchoring whole models: a second implementation of the loop by hand, shared bases, and what it asks of the dense model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from drank.compression.anchoring import JITTER, anchor
from drank.compression.refit import refit_coefficients
from drank.compression.target import target_of
from drank.models.families import projections_of
from drank.models.lowrank import LowRankLinear, matrix_of
from drank.models.residency import open_skeleton
from drank.spectra.left_right import Sides
from tests.unit.compressed_llama import inputs_of, measured, product_of

ORDER = (("q", "k", "v"), ("o",), ("gate", "up"), ("down",))


@pytest.fixture(scope="module")
def whitened(tmp_path_factory):
    """A spectrum without a right factor, as that of AA-SVD's row."""
    return measured(tmp_path_factory.mktemp("whitened"), weighting="whitening")


def by_hand(toy, plan, share: float, order=ORDER, sides: Sides | None = None) -> torch.nn.Module:
    """Every projection by whole passes of the model as it is so far, singular values and NumPy, the paper's way round."""
    model, originals = toy.compressed(plan), inputs_of(toy.dense(), toy.windows)
    matrices = {(layer, p.role): matrix_of(module).detach().numpy() for layer, p, module in projections_of(toy.dense())}
    groups = plan.by_place()
    for layer in range(3):
        for roles in order:
            seen = inputs_of(model, toy.windows)
            for at, projection, module in projections_of(model):
                if at != layer or projection.role not in roles:
                    continue
                x, y = (inputs[at, projection.role].numpy() for inputs in (seen, originals))
                root = np.linalg.cholesky(x.T @ x).T
                jitter = JITTER * np.diag(x.T @ x).mean() * np.eye(len(root))
                mixed = share * x.T @ y + (1 - share) * x.T @ x + jitter
                target = np.linalg.solve(x.T @ x + jitter, mixed @ matrices[at, projection.role])
                if not isinstance(module, LowRankLinear):
                    module.weight.data = torch.from_numpy(target.T.copy())
                    continue
                group = groups[at, projection.role]
                right = np.eye(target.shape[1]) if sides is None else sides.of(group.shape)[1][0].numpy()
                u, s, v = np.linalg.svd(root @ target @ right, full_matrices=False)
                k = group.rank
                basis, rows = np.linalg.solve(root, u[:, :k] * s[:k]), np.linalg.solve(right.T, v[:k].T).T
                module.basis.weight.data, module.coefficients.weight.data = (torch.from_numpy(part.T.copy()) for part in (basis, rows))
    return model


def off(model, other) -> float:
    """The largest distance of two products, as a share of the second's size."""
    pairs = zip(projections_of(model), projections_of(other), strict=True)
    products = [(product_of(one), product_of(two)) for (_, _, one), (_, _, two) in pairs]
    return max(((a - b).norm() / b.norm()).item() for a, b in products)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_whole_loop_is_that_of_a_second_implementation(share, whitened):
    plan = whitened.plan(4, dense=["o.01", "up.00"])
    model = whitened.compressed(plan)
    anchor(model, whitened.dense(), plan, whitened.spectra, whitened.windows, batch=5, share=share)
    assert off(model, by_hand(whitened, plan, share)) < 1e-6
    assert not isinstance(model.model.layers[1].self_attn.o_proj, LowRankLinear)
    assert all(not module._forward_pre_hooks for module in model.modules())


def test_later_inputs_of_a_block_are_taken_once_earlier_projections_are_replaced(whitened):
    """In another order the factors are others: O has to see the Q, K and V that the model will have."""
    plan = whitened.plan(4)
    model = whitened.compressed(plan)
    anchor(model, whitened.dense(), plan, whitened.spectra, whitened.windows)
    for order in (tuple(reversed(ORDER)), (("q", "k", "v", "o", "gate", "up", "down"),)):
        assert off(model, by_hand(whitened, plan, 1.0, order)) > 1e-3


def test_under_a_two_sided_spectrum_factors_are_those_of_its_norm(toy, tmp_path):
    """With R as the weighting makes it of the gradients, which no file of spectra holds."""
    plan = toy.plan(4)
    model = toy.compressed(plan)
    anchor(model, toy.dense(), plan, toy.spectra, toy.windows)
    sides = Sides(toy.checkpoint, "kronecker-fisher", {}, toy.spectra.parent / "moments", toy.spectra.parent / "gradients")
    assert off(model, by_hand(toy, plan, 1.0, sides=sides)) < 1e-4
    assert off(model, by_hand(toy, plan, 1.0)) > 1e-2


def test_shared_bases_stay_and_get_the_coefficients_of_each_layers_target(paired):
    plan = paired.plan(4)
    model, before = paired.compressed(plan), paired.compressed(plan)
    anchor(model, paired.dense(), plan, paired.spectra, paired.windows, share=0.7)
    groups = plan.by_place()
    for (layer, projection, module), (_, _, old) in zip(projections_of(model), projections_of(before), strict=True):
        assert torch.equal(module.basis.weight, old.basis.weight) == (len(groups[layer, projection.role].shape.layers) == 2)
        assert not torch.equal(module.coefficients.weight, old.coefficients.weight)
    x, y = (inputs_of(one, paired.windows)[1, "q"] for one in (model, paired.dense()))
    w = matrix_of(paired.dense().model.layers[1].self_attn.q_proj).detach()
    old, found = (one.model.layers[1].self_attn.q_proj for one in (before, model))
    basis, coefficients = old.basis.weight.detach().mT, old.coefficients.weight.detach().mT
    fitted = refit_coefficients(basis, coefficients, x.mT @ x, target_of(x.mT @ x, x.mT @ (y - x), w, 0.7, JITTER))
    torch.testing.assert_close(found.coefficients.weight.detach().mT, fitted, rtol=1e-6, atol=1e-8)


def test_the_result_depends_neither_on_the_batch_nor_on_how_the_dense_model_is_held(whitened):
    plan, models = whitened.plan(3), []
    for batch, dense in ((1, whitened.dense()), (12, whitened.dense()), (5, open_skeleton(whitened.directory))):
        models.append(whitened.compressed(plan))
        anchor(models[-1], dense, plan, whitened.spectra, whitened.windows, batch=batch)
    assert off(models[1], models[0]) < 1e-6 and off(models[2], models[0]) < 1e-6


def test_where_nothing_is_lost_nothing_changes(whitened):
    """At full rank X' = X and T = W, whatever the share."""
    plan = whitened.plan(8)
    for share in (0.0, 1.0):
        model = whitened.compressed(plan)
        anchor(model, whitened.dense(), plan, whitened.spectra, whitened.windows, share=share)
        with torch.no_grad():
            torch.testing.assert_close(model(whitened.windows).logits, whitened.dense()(whitened.windows).logits, rtol=1e-4, atol=1e-4)


def test_a_text_shorter_than_a_matrix_is_wide_gives_finite_factors(whitened):
    plan = whitened.plan(4)
    model = whitened.compressed(plan)
    anchor(model, whitened.dense(), plan, whitened.spectra, whitened.windows[:1, :3])
    with torch.no_grad():
        found = model(whitened.windows).logits
        assert found.isfinite().all()
