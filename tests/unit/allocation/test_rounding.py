"""Real ranks to integers: budgets in whole parameters, nearness to the optimum by brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drank.allocation.problem import Problem
from drank.allocation.rounding import integer_ranks
from drank.allocation.rules import closed_form
from drank.models.groups import Shape
from tests.unit.allocators_fixture import problem

densities = st.floats(1.0, 2000.0)


@st.composite
def rounding_problems(draw, equal: bool = False, most: int = 4):
    """Small groups with a budget, densities, and the real optimum under it."""
    count = draw(st.integers(1, most))
    sides = st.tuples(st.integers(2, 7), st.integers(2, 7))
    same = draw(sides)
    shapes = [Shape("q", (i,), *(same if equal else draw(sides))) for i in range(count)]
    density = np.array(draw(st.lists(densities, min_size=count, max_size=count)))
    case = problem(shapes, draw(st.integers(sum(s.cost for s in shapes), sum(s.cost * s.max_rank for s in shapes))))
    return case, density, closed_form(density, case.costs, case.budget, np.ones(count), np.array(case.high, dtype=float))


def affordable(case: Problem, floor=None) -> list[tuple[int, ...]]:
    floor = floor or [1] * len(case.shapes)
    vectors = itertools.product(*(range(low, s.max_rank + 1) for low, s in zip(floor, case.shapes, strict=True)))
    return [ranks for ranks in vectors if sum(k * s.cost for k, s in zip(ranks, case.shapes, strict=True)) <= case.budget]


def objective(density, ranks) -> float:
    return sum(r / k for r, k in zip(density, ranks, strict=True))


def assert_spent(ranks, case: Problem):
    """Never above the budget, and what is left buys no further rank."""
    left = case.budget - sum(k * s.cost for k, s in zip(ranks, case.shapes, strict=True))
    growable = [s.cost for k, s, high in zip(ranks, case.shapes, case.high, strict=True) if k < high]
    assert left >= 0
    assert not growable or left < min(growable)
    assert all(low <= k <= high for k, low, high in zip(ranks, case.low, case.high, strict=True))


@given(rounding_problems())
def test_rounded_ranks_meet_the_budget_and_come_close_to_the_optimum(drawn):
    """The objective is below that of the floors, hence within max k / ⌊k⌋ of the real optimum, which no integers can beat."""
    case, density, real = drawn
    ranks = integer_ranks(case, real, density)
    assert_spent(ranks, case)
    floors = np.maximum(1, np.floor(real + 1e-9))
    assert all(k >= low for k, low in zip(ranks, floors, strict=True))
    ours = objective(density, ranks)
    best = min(objective(density, other) for other in affordable(case))
    assert objective(density, real) * (1 - 1e-9) <= best <= ours * (1 + 1e-12)
    assert ours <= best * max(real / floors) * (1 + 1e-9)


@given(rounding_problems(equal=True))
def test_equal_costs_are_rounded_to_the_best_integers_above_the_floors(drawn):
    case, density, real = drawn
    ranks = integer_ranks(case, real, density)
    best = min(objective(density, other) for other in affordable(case, [max(1, math.floor(value + 1e-9)) for value in real]))
    assert math.isclose(objective(density, ranks), best, rel_tol=1e-12)


@given(rounding_problems(equal=True, most=2))
def test_two_groups_of_equal_cost_get_the_best_integers_of_all(drawn):
    case, density, real = drawn
    ranks = integer_ranks(case, real, density)
    assert math.isclose(objective(density, ranks), min(objective(density, o) for o in affordable(case)), rel_tol=1e-12)


@given(rounding_problems(), st.floats(1.0, 3.0))
def test_ranks_lifted_above_the_budget_are_taken_back(drawn, lift):
    """Rebalancing can ask for more than there is, where V costs more than Q and K."""
    case, density, real = drawn
    assert_spent(integer_ranks(case, real * lift, density), case)


def test_what_is_taken_back_is_what_matters_least():
    """All at 4 where 9 ranks are affordable: three times the rank whose loss density/(k(k−1)) is smallest goes."""
    shapes = [Shape("q", (i,), 10, 10) for i in range(3)]
    assert integer_ranks(problem(shapes, 9 * 20), np.array([4.0, 4.0, 4.0]), np.array([100.0, 1.0, 1.1])) == [4, 2, 3]
    unlike = [Shape("q", (i,), 20, 20) for i in range(2)]
    assert integer_ranks(problem(unlike, 11 * 40), np.array([2.0, 10.0]), np.array([1.0, 36.0])) == [2, 9], "36/90 is less than 1/2"


def test_the_remainder_goes_where_it_helps_most_per_parameter():
    """At rank 1, one more is worth 30/2/20 to the dear group, 12/2/6 to the cheap one; then 30/2/20 against 12/6/6."""
    shapes = [Shape("q", (0,), 10, 10), Shape("q", (1,), 3, 3)]
    density, real = np.array([30.0, 12.0]), np.array([1.0, 1.0])
    assert integer_ranks(problem(shapes, 26 + 6), real, density) == [1, 2]
    assert integer_ranks(problem(shapes, 26 + 26), real, density) == [2, 2]
    assert integer_ranks(problem(shapes, 26 + 20), real, density) == [1, 3], "what the urgent group cannot pay for the other one gets"


def test_nearly_whole_numbers_are_whole():
    assert integer_ranks(problem([Shape("q", (0,), 4, 4)], 24), np.array([2.9999999999]), np.array([1.0])) == [3]


def test_ranks_stay_within_floors_and_caps():
    shapes = [Shape("q", (i,), 10, 10) for i in range(3)]
    case = problem(shapes, 15 * 20, low=[3, 3, 3], high=[6, 6, 6])
    assert integer_ranks(case, np.array([13.0, 1.0, 1.0]), np.array([100.0, 1.0, 1.1])) == [6, 4, 5]


# --- dense past break-even


def test_what_dense_groups_free_goes_on_until_the_next_one_is_past_break_even():
    """Three 10 × 10 groups, break-even 5, budget 240: one dense by its real rank, one by the 140 left, the third at 2 by the 40 left."""
    shapes = [Shape("v", (i,), 10, 10) for i in range(3)]
    case = problem(shapes, 240, dense=True)
    ranks = integer_ranks(case, np.array([10.0, 1.0, 1.0]), np.array([5000.0, 40.0, 1.0]))
    assert ranks == [10, 10, 2], "a dense group has all its ranks"
    assert [case.is_dense(i, rank) for i, rank in enumerate(ranks)] == [True, True, False]
    assert case.spent(ranks) == 240


def test_the_step_to_dense_costs_what_the_matrices_hold_beyond_the_factors():
    """7 × 9: break-even 3.94, so rank 3 costs 48 and dense 63; 15 more are enough, 14 are not."""
    shape = Shape("v", (0,), 7, 9)
    assert integer_ranks(problem([shape], 63, dense=True), np.array([3.0]), np.array([1.0])) == [7]
    assert integer_ranks(problem([shape], 62, dense=True), np.array([3.0]), np.array([1.0])) == [3]
    assert integer_ranks(problem([shape], 63, dense=True), np.array([63 / 16]), np.array([1.0])) == [7]
    assert integer_ranks(problem([shape], 63), np.array([63 / 16]), np.array([1.0])) == [3]


def test_dense_groups_become_factored_again_where_the_budget_asks_for_it():
    shapes = [Shape("v", (i,), 10, 10) for i in range(2)]
    case = problem(shapes, 180, dense=True)
    assert integer_ranks(case, np.array([9.0, 9.0]), np.array([1.0, 3.0])) == [4, 10]


def test_all_dense_where_the_budget_has_room_for_it():
    shapes = [Shape("v", (i,), 10, 10) for i in range(2)]
    assert integer_ranks(problem(shapes, 200, dense=True), np.array([5.0, 5.0]), np.array([1.0, 1.0])) == [10, 10]


def test_a_cap_below_break_even_keeps_a_group_from_being_dense():
    shapes = [Shape("v", (i,), 10, 10) for i in range(2)]
    assert integer_ranks(problem(shapes, 190, dense=True, high=[4, 10]), np.array([9.0, 1.0]), np.array([9.0, 1.0])) == [4, 10]
