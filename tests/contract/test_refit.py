"""Every family: a refit improves what it refits."""

from __future__ import annotations

import copy

import pytest
import torch

from drank.compression.refit import refit
from drank.models.conversion import convert
from drank.models.families import family_of, kind_of, module_path
from drank.models.lowrank import LowRankLinear
from drank.models.weights import Checkpoint
from tests.contract.forward import inputs_of


@pytest.mark.parametrize("group", [1, 2])
def test_refit_gives_every_layer_the_best_coefficients_for_its_own_inputs(
    family, group, tiny_model, tiny_plan, svd_factors, windows, tmp_path
):
    """The inputs of a block are those that its refitted predecessors produce; the bases stay, shared as they were."""
    dense = tiny_model(family)
    dense.save_pretrained(tmp_path / "dense")
    model = tiny_model(family)
    plan = tiny_plan(model, group=group, keep=0.4, dense=("down",))
    convert(model, plan.groups, svd_factors(model, plan))
    before, checkpoint = copy.deepcopy(model), Checkpoint(tmp_path / "dense")
    refit(model, checkpoint, windows, batch=3)
    hybrid, better = copy.deepcopy(before), 0
    for layer in range(model.config.num_hidden_layers):
        inputs = inputs_of(hybrid, windows)
        for projection in family_of(model.config).projections:
            path = module_path(family, layer, projection.role)
            old, new = before.get_submodule(path), model.get_submodule(path)
            if not isinstance(new, LowRankLinear):
                assert kind_of(projection.role) == "down" and torch.equal(old.weight, new.weight)
                continue
            if (layer, projection.role) not in inputs:  # an expert that no token reached keeps what it had
                assert torch.equal(old.coefficients.weight, new.coefficients.weight)
                continue
            x, matrix = inputs[layer, projection.role], checkpoint.matrix(layer, projection.role)
            basis = new.basis.weight.detach().double().T
            assert torch.equal(old.basis.weight, new.basis.weight)
            errors = [torch.linalg.norm(x @ (matrix - basis @ m.coefficients.weight.detach().double().T)) for m in (old, new)]
            best = torch.linalg.lstsq(x @ basis, x @ matrix).solution
            assert errors[1] <= errors[0] * (1 + 1e-5)
            assert errors[1] <= torch.linalg.norm(x @ (matrix - basis @ best)) * (1 + 1e-3)
            better += int(errors[1] < 0.99 * errors[0])
            hybrid.get_submodule(path).coefficients.load_state_dict(new.coefficients.state_dict())
    assert better > len(plan.groups) / 2, "plain SVD leaves the refit something to gain"
    assert model.config.quantization_config == before.config.quantization_config
