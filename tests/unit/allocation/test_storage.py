"""Allocators under every storage and rank multiple: budgets of stored numbers, the hull of their true cost, what parameters buy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.allocation.allocators import ALLOCATORS
from drank.allocation.evidence import Evidence
from drank.allocation.filling import hull_steps, water_fill
from drank.allocation.problem import BudgetError, Problem
from drank.allocation.rounding import integer_ranks, settled
from drank.models.groups import Shape
from tests.unit.allocators_fixture import AS_RELEASED, SMALL, SPENDING, budget_of, plan_of, problem, random_evidence, scopes_of


def price(group, rank: int) -> int:
    return min(group.shape.parameters(rank), group.shape.dense_parameters)


@pytest.mark.parametrize("multiple", [1, 4])
@pytest.mark.parametrize("scope", ["type", "model"])
@pytest.mark.parametrize("shapes", SMALL)
@pytest.mark.parametrize("name", [*SPENDING, *AS_RELEASED])
def test_the_budget_of_stored_numbers_is_met(name, shapes, scope, multiple):
    """Never above, and less left than any group asks for its next step; ranks are multiples, and nothing is larger than its matrices."""
    if scope not in ALLOCATORS[name].scopes or (multiple > 1 and not ALLOCATORS[name].held):
        return
    evidence = random_evidence(SMALL[shapes], 3)
    for ratio in (0.1, 0.3, 0.5):
        try:
            plan = plan_of(evidence, ratio, allocator=name, scope=scope, storage="pivoted", rank_multiple=multiple)
        except BudgetError as error:
            assert multiple > 1 and f"rank {multiple} costs" in str(error)
            continue
        for kinds in scopes_of([group.shape for group in plan.groups], scope, 0.0):
            members = [group for group in plan.groups if group.shape.kind in kinds]
            left = budget_of([group.shape for group in members], ratio) - sum(group.parameters for group in members)
            steps = max(price(g, min(g.rank + multiple, g.shape.max_rank)) - price(g, g.rank) for g in members)
            assert left >= (0 if ALLOCATORS[name].held else -len(members) * steps), "the release ends off its budget"
            for group in members:
                assert group.parameters <= group.shape.dense_parameters and group.shape.storage == "pivoted"
                assert group.dense or group.rank % multiple == 0
                if not group.dense and ALLOCATORS[name].held:
                    assert price(group, min(group.rank + multiple, group.shape.max_rank)) - group.parameters > left


@given(st.data())
def test_the_hull_is_filled_to_within_a_step_of_every_choice_of_ranks(data):
    """Against exhaustive search on small cases, with and without a multiple."""
    count, multiple = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([1, 1, 2, 3]))
    shapes = [Shape("q", (i,), data.draw(st.integers(3, 7)), data.draw(st.integers(3, 7)), "pivoted") for i in range(count)]
    values = st.lists(st.floats(0, 100), min_size=7, max_size=7)
    energies = [np.array(sorted(data.draw(values), reverse=True)[: shape.max_rank]) for shape in shapes]
    low, high = (multiple,) * count, tuple(shape.max_rank for shape in shapes)
    case = Problem("q", tuple(shapes), 0, low, high, True, problem(shapes, 0, energies=energies).evidence, multiple)
    top = sum(shape.dense_parameters for shape in shapes)
    case = Problem("q", tuple(shapes), data.draw(st.integers(case.spent(low), top)), low, high, True, case.evidence, multiple)
    choices = [sorted({case.allowed(i, rank) for rank in range(low[i], high[i] + 1)}) for i in range(count)]

    def lost(ranks) -> float:
        return sum(float(values[rank:].sum()) for values, rank in zip(energies, ranks, strict=True))

    best = min(lost(ranks) for ranks in itertools.product(*choices) if case.spent(ranks) <= case.budget)
    ranks = water_fill(case, energies)
    assert case.spent(ranks) <= case.budget and all(rank in choices[i] for i, rank in enumerate(ranks))
    largest = max((float(gain.max(initial=0)) for i, one in enumerate(energies) for gain in [hull_steps(case, i, one)[2]]), default=0)
    assert best - 1e-9 <= lost(ranks) <= best + largest + 1e-9


def test_a_hull_of_pivoted_storage_leaves_out_ranks_that_higher_ones_beat():
    """20 × 20 with equal λ: every further rank is cheaper than the one before, so that one step leads from the lowest to dense."""
    case = problem([Shape("q", (0,), 20, 20, "pivoted")], 400, dense=True)
    ranks, sizes, gains = hull_steps(case, 0, np.ones(20))
    assert (ranks, sizes.tolist(), gains.tolist()) == ([20], [360.0], [19.0])


@given(st.floats(0.5, 39), st.sampled_from(["factors", "pivoted"]))
def test_real_ranks_buy_the_largest_rank_that_their_parameters_pay(real, storage):
    shape = Shape("q", (0,), 40, 60, storage)
    case = problem([shape], 2400, dense=storage == "pivoted")
    rank = settled(case, np.array([real]))[0]
    assert case.parameters(0, rank) <= max(real, shape.parameters(1) / 100) * 100 + 1e-6
    if not case.is_dense(0, rank):
        assert shape.parameters(rank + 1) > real * 100 - 1e-6


def test_uniform_shares_stay_uniform_whatever_the_storage():
    evidence = random_evidence(SMALL["mha"], 1)
    plan = plan_of(evidence, 0.3, allocator="uniform", storage="pivoted")
    assert all(abs(group.parameters / group.shape.dense_parameters - 0.7) < 0.06 for group in plan.groups)


def test_what_rounding_leaves_goes_where_the_rule_itself_gains_most():
    """Claims of 1 and 100 on equal groups: the second gets what is left."""
    shapes = [Shape("q", (i,), 30, 30, "pivoted") for i in range(2)]
    case = problem(shapes, 2 * shapes[0].parameters(8) + 45, dense=True)
    assert integer_ranks(case, case.real([8, 8]), np.array([1.0, 100.0])) == [8, 9]


def test_a_largest_rank_that_is_no_multiple_is_no_step_where_ranks_move_on():
    """Groups become dense after β only, and until then rank 8 of a 9 × 9 matrix has no rank above it."""
    shapes = [Shape(role, (layer,), 9, 9) for role in "qkvo" for layer in range(3)]
    for percent in (5, 12, 30):
        plan = plan_of(random_evidence(shapes, 0), percent / 100, allocator="optimal", storage="pivoted", rank_multiple=2, beta=0.3)
        assert all(group.dense or group.rank % 2 == 0 for group in plan.groups)


def test_a_group_that_no_threshold_lets_go_is_kept_whole():
    """Its break-even rank of two factors would cost less in pivoted form, and lose something."""
    shapes = [Shape("q", (i,), 20, 20) for i in range(2)]
    table = {f"{tenths / 10:g}": 10.0 for tenths in range(1, 10)}
    evidence = Evidence(shapes, {s.name: np.ones(20) for s in shapes}, sensitivity={"q.00": dict.fromkeys(table, 99.0), "q.01": table})
    plan = plan_of(evidence, 0.3, allocator="sensitivity", scope="model", storage="pivoted")
    assert [group.dense for group in plan.groups] == [True, False]
