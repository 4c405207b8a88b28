"""What the compensated refit does to a whole model: nearer to the dense one, the same in any batches, and errors that name the layer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from drank.compression.compensation import compensate
from drank.compression.refit import refit
from drank.models.families import blocks_of, projections_of
from drank.models.residency import open_skeleton
from drank.runtime.finite import NonFiniteError
from tests.unit.compressed_llama import SIDE, product_of


def test_the_result_does_not_depend_on_the_batch(toy):
    plan, products = toy.plan(3), []
    for batch in (1, 12):
        model = toy.compressed(plan)
        compensate(model, toy.dense(), plan, toy.spectra, toy.windows, batch=batch)
        products.append([product_of(module) for _, _, module in projections_of(model)])
    for one, other in zip(*products, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


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
