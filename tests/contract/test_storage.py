"""Every family under both storages: one function, fewer numbers, and the tensors that the budget counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from drank.allocation.plan import Plan
from drank.methods import METHODS, Method
from drank.models.checkpoint import load_model, save
from drank.models.conversion import convert, store
from drank.models.exports.dense import product_of
from drank.models.families import module_path
from drank.models.lowrank import PivotedLinear
from drank.models.tensors import size_of
from drank.models.weights import Checkpoint
from tests.contract import method_models
from tests.contract.forward import logits_of


@pytest.fixture(scope="module")
def compressed(tiny_model, tiny_tokenizer, tmp_path_factory, windows) -> Callable[[str, Method], tuple[PreTrainedModel, Plan]]:
    """A family's model at 30 % by a method, and its plan."""
    dense = method_models.dense_directory(tiny_model, tiny_tokenizer, tmp_path_factory)
    measured = method_models.measured(dense, windows)
    build = method_models.compress(dense, measured, method_models.evidence(dense, measured, windows), windows)
    return lambda family, method: build(family, method_models.unrefused(method, family, Checkpoint(dense(family)).config), 0.3)


def test_pivoted_modules_are_the_function_of_their_factors(family, tiny_model, tiny_plan, svd_factors, tokens, tmp_path):
    """In float64, with shared bases, inputs of very different size among them, and k² − k numbers fewer for each group."""
    model = tiny_model(family, dtype=torch.float64)
    plan = tiny_plan(model, group=2)
    convert(model, plan.groups, svd_factors(model, plan))
    expected = logits_of(model, tokens)
    save(model, None, plan.groups, tmp_path / "factors")
    groups = tuple(replace(one, shape=replace(one.shape, storage="pivoted")) for one in plan.groups)
    scales = {one.shape.name: torch.logspace(-9, 3, one.shape.rows, dtype=torch.float64) for one in groups[::2]}
    store(model, groups, scales)
    torch.testing.assert_close(logits_of(model, tokens), expected, rtol=1e-9, atol=1e-9)
    save(model, None, groups, tmp_path / "pivoted")
    torch.testing.assert_close(logits_of(load_model(tmp_path / "pivoted"), tokens), expected, rtol=1e-9, atol=1e-9)
    sizes = [size_of(tmp_path / name).parameters for name in ("factors", "pivoted")]
    assert sizes[0] - sizes[1] == sum(one.rank**2 - one.rank for one in groups)


@pytest.mark.parametrize("name", ["svd-llm", "d-rank", "zs-svd"])
def test_any_method_may_be_stored_so(name, family, compressed, tokens, tmp_path):
    """The budget is met in the saved tensors, and the same numbers buy higher ranks."""
    factors, before = compressed(family, METHODS[name])
    model, plan = compressed(family, replace(METHODS[name], storage="pivoted"))
    save(model, None, plan.groups, tmp_path / "model")
    size = size_of(tmp_path / "model")
    assert size.ratio_stored == pytest.approx(1 - plan.parameters / plan.dense_parameters)
    assert size.ratio_stored >= 0.3
    if name == "svd-llm":  # other rules give some groups more of the budget
        assert all(one.rank >= other.rank for one, other in zip(plan.groups, before.groups, strict=True))
        assert sum(one.rank for one in plan.groups) > sum(one.rank for one in before.groups)
    loaded = load_model(tmp_path / "model")
    torch.testing.assert_close(logits_of(loaded, tokens), logits_of(model, tokens), rtol=1e-4, atol=1e-4)
    assert any(isinstance(module, PivotedLinear) for module in loaded.modules())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_costs_no_more_than_four_times_that_of_factors(family, tiny_model, tiny_plan, svd_factors, dtype):
    """The error of the products, weighted by inputs of very different size, relative and over all projections."""
    errors = {}
    for storage in ("factors", "pivoted"):
        model = tiny_model(family, dtype=dtype)
        plan = tiny_plan(model, group=2)
        groups = tuple(replace(one, shape=replace(one.shape, storage=storage)) for one in plan.groups)
        factors = svd_factors(model, plan)
        scales = {one.shape.name: 10 ** torch.linspace(-2, 2, one.shape.rows, dtype=torch.float64) for one in groups}
        convert(model, groups, factors)
        store(model, groups, scales)
        errors[storage] = _error(model, groups, factors, scales)
    assert 0 < errors["factors"] < 0.02 and errors["pivoted"] <= 4 * errors["factors"]


def _error(model, groups, factors, scales) -> float:
    off = whole = 0.0
    for group in groups:
        basis, coefficients = factors[group.shape.name]
        paths = [module_path(model.config.model_type, layer, group.shape.role) for layer in group.shape.layers]
        for path, block in zip(paths, coefficients.split(group.shape.columns, dim=1), strict=True):
            module = model.get_submodule(path)
            pivots = module.pivots if isinstance(module, PivotedLinear) else None
            found = product_of(module.basis.weight.detach(), module.coefficients.weight.detach(), pivots).mT
            weight = scales[group.shape.name][:, None]
            off += ((found - basis @ block) * weight).square().sum().item()
            whole += ((basis @ block) * weight).square().sum().item()
    return (off / whole) ** 0.5
