"""Budgets in whole parameters, for every allocator and option: spent to within one rank, floors and caps held, dense groups counted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drank.allocation.allocate import refusal
from drank.allocation.allocators import ALLOCATORS
from drank.allocation.densities import DENSITIES
from drank.allocation.problem import BudgetError
from drank.allocation.rebalancing import REBALANCES
from drank.models.groups import Shape
from tests.unit.allocators_fixture import (
    D_RANK,
    MOVABLE,
    SMALL,
    SPENDING,
    assert_budgets,
    budget_of,
    evidence_of,
    models,
    of_kind,
    plan_of,
    random_density,
    random_evidence,
)


@pytest.mark.parametrize("allocator", SPENDING)
@given(shapes=models(), seed=st.integers(0, 10**6), percent=st.integers(1, 75), data=st.data())
@settings(max_examples=60)
def test_every_allocator_meets_every_budget_to_within_one_rank(allocator, shapes, seed, percent, data):
    """Under hypothesis: shapes, spectra, ratios, groups, remainder groups, floors, caps, scopes, dense storage, rebalancing."""
    ratio, kinds = percent / 100, {shape.kind for shape in shapes}
    scope, beta = data.draw(st.sampled_from(["type", "model"])), data.draw(st.sampled_from([0.0, 0.3]))
    options = {"allocator": allocator, "scope": scope, "floor": data.draw(st.sampled_from([0, 0.5, 1])), "seed": seed}
    options |= {"cap": data.draw(st.sampled_from([None, 1, 1.6])), "dense_past_break_even": data.draw(st.booleans())}
    options |= {"density": data.draw(st.sampled_from(list(DENSITIES))), "normalise": data.draw(st.booleans())}
    if not refusal(options | {"beta": beta}, kinds):
        options |= {"beta": beta, "rebalance": data.draw(st.sampled_from(list(REBALANCES)))}
    evidence = random_evidence(shapes, seed)
    dead = data.draw(st.sampled_from(shapes)).name
    evidence.energies[dead] = evidence.energies[dead] * 0
    try:
        plan = plan_of(evidence, ratio, **options)
    except BudgetError as error:
        parts = [[s for s in shapes if s.kind == kind] for kind in kinds] if scope == "type" else [shapes]
        poor = [part for part in parts if budget_of(part, ratio) < sum(s.cost for s in part)]
        thin = [s for part in parts for s in part if budget_of(part, ratio) * s.break_even < sum(t.dense_parameters for t in part)]
        assert poor or (options["floor"] == 1 and thin)
        assert ("too little for rank 1" if poor else "is below 1, and none gets less than 1") in str(error)
        return
    assert sorted(group.shape.name for group in plan.groups) == sorted(shape.name for shape in shapes)
    assert_budgets(plan, ratio, scope, options.get("beta", 0.0), options["cap"])
    for group in plan.groups:
        shape = group.shape
        uniform = (1 - ratio) * shape.break_even
        assert type(group.rank) is int and 1 <= group.rank <= shape.max_rank
        assert group.dense or group.rank >= math.floor(options["floor"] * uniform - 0.2), "budgets are rounded down"
        assert group.dense or options["cap"] is None or group.rank <= max(1, math.ceil(options["cap"] * uniform))
        if options["dense_past_break_even"] or ALLOCATORS[allocator].dense:
            assert group.dense is group.past_break_even and (not group.dense or group.rank == shape.max_rank)
        else:
            assert not group.dense


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("beta", [0.0, 0.1, 0.3, 0.45])
@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.4, 0.5, 0.7])
@pytest.mark.parametrize("allocator", MOVABLE)
def test_plans_of_a_llama_spend_their_budget(kind, beta, ratio, allocator):
    plan = plan_of(random_evidence(SMALL[kind], 1), ratio, allocator=allocator, beta=beta)
    if ALLOCATORS[allocator].held:
        assert_budgets(plan, ratio, beta=beta)
    assert not any(group.dense for group in plan.groups)


@pytest.mark.parametrize("percent", range(1, 97))
def test_no_parameter_is_lost_to_the_binary_form_of_a_ratio(percent):
    """A budget of (1 − θ) · 10 000 is a whole number of 100-parameter ranks; θ = 0.2 or 0.07 is no binary fraction."""
    shapes = [Shape("q", (i,), 50, 50) for i in range(4)]
    plan = plan_of(random_evidence(shapes, percent), percent / 100, allocator="effective-rank")
    assert plan.parameters == 10_000 - 100 * percent


def test_experts_share_the_budget_of_their_kind():
    """An expert with ten times the effective rank of the others takes from them, and the sum is that of all gates."""
    shapes = [Shape(f"gate.{expert}", (layer,), 30, 50) for layer in range(2) for expert in range(4)]
    density = {shape.name: 20.0 if shape.role == "gate.2" else 2.0 for shape in shapes}
    plan = plan_of(evidence_of(shapes, density), 0.5, allocator="effective-rank")
    assert_budgets(plan, 0.5)
    ranks = {group.shape.name: group.rank for group in plan.groups}
    assert ranks["gate.2.00"] / ranks["gate.1.00"] == pytest.approx(math.sqrt(10), rel=0.15)


def test_at_the_highest_ratio_every_rank_is_one():
    shapes = [Shape("q", (i,), 10, 10) for i in range(3)]
    assert of_kind(plan_of(random_evidence(shapes, 0), 0.8, allocator="effective-rank"), "q") == [1, 1, 1]


@pytest.mark.parametrize("allocator", SPENDING)
def test_floors_and_caps_hold_where_they_bind(allocator):
    shapes = [Shape("v", (i,), 40, 40) for i in range(8)]
    evidence = random_evidence(shapes, 4)
    evidence.energies.update({name: values ** (1 + 3 * (i % 2)) for i, (name, values) in enumerate(evidence.energies.items())})
    uniform = 0.4 * 20
    free = of_kind(plan_of(evidence, 0.6, allocator=allocator, mix=1.0), "v")
    bound = of_kind(plan_of(evidence, 0.6, allocator=allocator, mix=1.0, floor=0.9, cap=1.25), "v")
    assert min(bound) >= 7 and max(bound) <= 10
    assert allocator == "uniform" or min(free) < 7 or max(free) > 10, "the bounds change something"
    assert sum(bound) == pytest.approx(8 * uniform)


def test_floors_hold_after_rebalancing():
    """β = .5 would halve Q and K; a floor of .8 leaves them .8 of their uniform rank."""
    shapes = [Shape(role, (i,), 50, 50) for role in "qkv" for i in range(3)]
    plan = plan_of(random_evidence(shapes, 0), 0.2, allocator="uniform", beta=0.5, floor=0.8)
    assert min(of_kind(plan, "q") + of_kind(plan, "k")) == 16
    assert_budgets(plan, 0.2, beta=0.5)


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("beta", [0.0, 0.3, 0.45])
@pytest.mark.parametrize("seed", range(3))
def test_dense_groups_are_those_past_break_even_and_what_they_free_is_spent(kind, ratio, beta, seed):
    evidence = evidence_of(SMALL[kind], random_density(SMALL[kind], seed))
    plan = plan_of(evidence, ratio, **D_RANK | {"beta": beta, "dense_past_break_even": True})
    plain = plan_of(evidence, ratio, **D_RANK | {"beta": beta})
    for group in plan.groups:
        assert group.dense is group.past_break_even
        assert group.parameters == (group.shape.dense_parameters if group.dense else group.rank * group.shape.cost)
    kept = {group.shape.name for group in plan.groups if group.dense}
    assert kept >= {group.shape.name for group in plain.groups if group.past_break_even}
    assert_budgets(plan, ratio, beta=beta)


def test_at_ratio_0_everything_can_stay_dense():
    plan = plan_of(random_evidence(SMALL["mha"], 0), 0.0, allocator="optimal", dense_past_break_even=True)
    assert all(group.dense for group in plan.groups)
