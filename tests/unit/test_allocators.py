"""Allocation against the paper's formulas, a numerical optimiser, and brute force; budgets in whole parameters."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from drank.allocators import (
    ALLOCATORS,
    BudgetError,
    Problem,
    allocate,
    check_budget,
    closed_form,
    integer_ranks,
    rebalance,
    with_dense,
)
from drank.plan import Plan, Shape

D_RANK = {"allocator": "effective-rank", "beta": 0.3, "dense_past_break_even": False, "seed": 13}

densities = st.floats(1.0, 2000.0)


def model_shapes(hidden: int, key_value: int, inner: int, layers: int, group: int) -> list[Shape]:
    """The groups of a Llama model: Q, K, V, gate and up by `group`, O and down alone."""
    sides = {"q": (hidden, hidden), "k": (hidden, key_value), "v": (hidden, key_value), "o": (hidden, hidden)}
    sides |= {"gate": (hidden, inner), "up": (hidden, inner), "down": (inner, hidden)}
    shapes = []
    for role, (rows, columns) in sides.items():
        size = 1 if role in ("o", "down") else group
        shapes += [Shape(role, tuple(range(i, min(i + size, layers))), rows, columns) for i in range(0, layers, size)]
    return shapes


SMALL = {
    "mha": model_shapes(24, 24, 64, 6, 2),
    "mha with a remainder": model_shapes(24, 24, 64, 7, 2),
    "gqa": model_shapes(24, 8, 64, 6, 1),
    "gqa in groups with a remainder": model_shapes(24, 8, 64, 5, 3),
}


def of_role(plan: Plan, role: str) -> list[int]:
    return [group.rank for group in plan.groups if group.shape.role == role]


def random_density(shapes: list[Shape], seed: int) -> dict[str, float]:
    """V carries much more than Q and K, as in the paper's table 1."""
    rng = np.random.default_rng(seed)
    level = {"q": 4.0, "k": 2.0, "v": 150.0}
    return {shape.name: float(1 + level.get(shape.role, 30.0) * rng.lognormal()) for shape in shapes}


def equation_7(density, costs, budget):
    """k_g = T / Σ_j sqrt(R_j ω_j) · sqrt(R_g / ω_g)."""
    return budget / np.sqrt(density * costs).sum() * np.sqrt(density / costs)


# --- the closed form


def test_closed_form_is_equation_7_where_no_bound_binds():
    density, costs = np.array([118.0, 592.0, 778.0, 1026.0]), np.array([12288.0, 12288.0, 8192.0, 6000.0])
    budget, caps = 0.8 * 4 * 4096 * 8192, np.full(4, 1e9)
    np.testing.assert_allclose(closed_form(density, costs, budget, caps), equation_7(density, costs, budget), rtol=1e-12)


def test_closed_form_is_what_a_numerical_optimiser_finds():
    """Two groups at their caps, one at 1, the rest free."""
    density = np.array([900.0, 4.0, 60.0, 0.01, 250.0, 33.0])
    costs = np.array([30.0, 48.0, 30.0, 30.0, 48.0, 21.0])
    caps, budget = np.array([12.0, 20.0, 25.0, 15.0, 11.0, 20.0]), 2000.0
    ours = closed_form(density, costs, budget, caps)
    assert ours[0] == 12 and ours[4] == 11 and ours[3] == 1 and (costs * ours).sum() == pytest.approx(budget)
    found = scipy.optimize.minimize(
        lambda k: (density / k).sum(),
        np.full(6, 8.0),
        jac=lambda k: -density / k**2,
        bounds=[(1.0, cap) for cap in caps],
        constraints={"type": "eq", "fun": lambda k: budget - costs @ k, "jac": lambda k: -costs},
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-14},
    )
    assert found.success
    np.testing.assert_allclose(ours, found.x, rtol=1e-4)
    assert (density / ours).sum() <= found.fun * (1 + 1e-9)


@st.composite
def bounded_problems(draw):
    count = draw(st.integers(1, 6))
    density = np.array(draw(st.lists(densities, min_size=count, max_size=count)))
    costs = np.array(draw(st.lists(st.integers(2, 60), min_size=count, max_size=count)), dtype=float)
    caps = np.array(draw(st.lists(st.integers(1, 40), min_size=count, max_size=count)), dtype=float)
    low, high = int(costs.sum()), int((costs * caps).sum())
    return density, costs, float(draw(st.integers(low, high))), caps


@given(bounded_problems())
def test_closed_form_meets_budget_bounds_and_optimality_conditions(problem):
    """Where a group is free its marginal density/(k² ω) is that of all free groups; at 1 it is below, at its cap above."""
    density, costs, budget, caps = problem
    ranks = closed_form(density, costs, budget, caps)
    assert (ranks >= 1).all() and (ranks <= caps).all()
    assert (costs * ranks).sum() == pytest.approx(budget, rel=1e-9)
    marginal = density / (ranks**2 * costs)
    low, high = ranks <= 1 + 1e-9, ranks >= caps - 1e-9
    free = ~(low | high)
    if free.any():
        assert marginal[free].max() == pytest.approx(marginal[free].min(), rel=1e-6)
        assert (marginal[low & ~high] <= marginal[free].max() * (1 + 1e-6)).all()
        assert (marginal[high & ~low] >= marginal[free].min() * (1 - 1e-6)).all()


@given(bounded_problems(), st.floats(1.0, 2.0))
def test_closed_form_gives_nobody_less_for_a_larger_budget(problem, more):
    density, costs, budget, caps = problem
    assert (closed_form(density, costs, budget * more, caps) >= closed_form(density, costs, budget, caps) - 1e-9).all()


def test_closed_form_outside_what_the_bounds_allow():
    density, costs, caps = np.array([5.0, 1.0]), np.array([10.0, 20.0]), np.array([3.0, 4.0])
    assert closed_form(density, costs, 29.0, caps).tolist() == [1, 1]
    assert closed_form(density, costs, 110.0, caps).tolist() == [3, 4]
    assert closed_form(density, costs, 500.0, caps).tolist() == [3, 4]


@pytest.mark.filterwarnings("error")
def test_closed_form_at_the_very_budget_where_groups_sit_at_their_bounds():
    """Group 0 is full long before group 1 leaves 1: between them the spending stands still."""
    for cap in range(2, 60):
        density, costs, caps = np.array([900.3, 0.0007]), np.array([7.0, 13.0]), np.array([float(cap), 50.0])
        assert closed_form(density, costs, 7.0 * cap + 13.0, caps).tolist() == pytest.approx([cap, 1])


# --- rounding


@st.composite
def rounding_problems(draw, equal: bool = False, most: int = 4):
    """Small groups, a budget, and the real optimum under it."""
    count = draw(st.integers(1, most))
    sides = st.tuples(st.integers(2, 7), st.integers(2, 7))
    same = draw(sides)
    shapes = [Shape("q", (i,), *(same if equal else draw(sides))) for i in range(count)]
    density = np.array(draw(st.lists(densities, min_size=count, max_size=count)))
    least, most_spent = sum(s.cost for s in shapes), sum(s.cost * s.max_rank for s in shapes)
    problem = Problem(tuple(shapes), density, draw(st.integers(least, most_spent)))
    return problem, closed_form(density, problem.costs, problem.budget, problem.caps)


def affordable(problem: Problem, floor=None) -> list[tuple[int, ...]]:
    floor = floor or [1] * len(problem.shapes)
    vectors = itertools.product(*(range(low, s.max_rank + 1) for low, s in zip(floor, problem.shapes, strict=True)))
    return [ranks for ranks in vectors if sum(k * s.cost for k, s in zip(ranks, problem.shapes, strict=True)) <= problem.budget]


def objective(density, ranks) -> float:
    return sum(r / k for r, k in zip(density, ranks, strict=True))


def assert_spent(ranks, shapes, budget, dense=()):
    """Never above the budget, and what is left buys no further rank."""
    left = budget - sum(s.dense_parameters if i in dense else k * s.cost for i, (k, s) in enumerate(zip(ranks, shapes, strict=True)))
    growable = [s.cost for i, (k, s) in enumerate(zip(ranks, shapes, strict=True)) if k < s.max_rank and i not in dense]
    assert left >= 0
    assert not growable or left < min(growable)
    assert all(1 <= k <= s.max_rank for k, s in zip(ranks, shapes, strict=True))


@given(rounding_problems())
def test_rounded_ranks_meet_the_budget_and_come_close_to_the_optimum(drawn):
    """The objective is below that of the floors, hence within max k / ⌊k⌋ of the real optimum, which no integers can beat."""
    problem, real = drawn
    ranks = integer_ranks(real, problem.density, problem.shapes, problem.budget)
    assert_spent(ranks, problem.shapes, problem.budget)
    floors = np.maximum(1, np.floor(real + 1e-9))
    assert all(k >= low for k, low in zip(ranks, floors, strict=True))
    ours = objective(problem.density, ranks)
    best = min(objective(problem.density, other) for other in affordable(problem))
    assert objective(problem.density, real) * (1 - 1e-9) <= best <= ours * (1 + 1e-12)
    assert ours <= best * max(real / floors) * (1 + 1e-9)


@given(rounding_problems(equal=True))
def test_equal_costs_are_rounded_to_the_best_integers_above_the_floors(drawn):
    problem, real = drawn
    ranks = integer_ranks(real, problem.density, problem.shapes, problem.budget)
    floors = [max(1, math.floor(value + 1e-9)) for value in real]
    best = min(objective(problem.density, other) for other in affordable(problem, floors))
    assert objective(problem.density, ranks) == pytest.approx(best, rel=1e-12)


@given(rounding_problems(equal=True, most=2))
def test_two_groups_of_equal_cost_get_the_best_integers_of_all(drawn):
    problem, real = drawn
    ranks = integer_ranks(real, problem.density, problem.shapes, problem.budget)
    assert objective(problem.density, ranks) == pytest.approx(min(objective(problem.density, o) for o in affordable(problem)), rel=1e-12)


@given(rounding_problems(), st.floats(1.0, 3.0))
def test_ranks_lifted_above_the_budget_are_taken_back(drawn, lift):
    """Rebalancing can ask for more than there is, where V costs more than Q and K."""
    problem, real = drawn
    ranks = integer_ranks(real * lift, problem.density, problem.shapes, problem.budget)
    assert_spent(ranks, problem.shapes, problem.budget)


def test_what_is_taken_back_is_what_matters_least():
    """All at 4 where 9 ranks are affordable: three times the rank whose loss density/(k(k−1)) is smallest goes."""
    shapes = [Shape("q", (i,), 10, 10) for i in range(3)]
    assert integer_ranks(np.array([4.0, 4.0, 4.0]), np.array([100.0, 1.0, 1.1]), shapes, 9 * 20) == [4, 2, 3]
    unlike = [Shape("q", (i,), 20, 20) for i in range(2)]
    assert integer_ranks(np.array([2.0, 10.0]), np.array([1.0, 36.0]), unlike, 11 * 40) == [2, 9], "36/90 is less than 1/2"


def test_the_remainder_goes_where_it_helps_most_per_parameter():
    """At rank 1, one more is worth 30/2/20 to the dear group, 12/2/6 to the cheap one; then 30/2/20 against 12/6/6."""
    shapes = [Shape("q", (0,), 10, 10), Shape("q", (1,), 3, 3)]
    density, real = np.array([30.0, 12.0]), np.array([1.0, 1.0])
    assert integer_ranks(real, density, shapes, 26 + 6) == [1, 2]
    assert integer_ranks(real, density, shapes, 26 + 26) == [2, 2]
    assert integer_ranks(real, density, shapes, 26 + 20) == [1, 3], "what the urgent group cannot pay for the other one gets"


def test_nearly_whole_numbers_are_whole():
    shapes = [Shape("q", (0,), 4, 4)]
    assert integer_ranks(np.array([2.9999999999]), np.array([1.0]), shapes, 24) == [3]


# --- whole plans


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("beta", [0.0, 0.1, 0.3, 0.45])
@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.4, 0.5, 0.7])
@pytest.mark.parametrize("allocator", ["uniform", "effective-rank", "random"])
def test_plans_spend_their_budget_to_within_one_rank(kind, beta, ratio, allocator):
    """Per projection type, over Q, K and V together once β has moved ranks between them."""
    shapes = SMALL[kind]
    settings = D_RANK | {"allocator": allocator, "beta": beta}
    for seed in range(3):
        plan = allocate(shapes, random_density(shapes, seed), ratio, settings, model="m", method="x")
        assert sorted(group.shape.name for group in plan.groups) == sorted(shape.name for shape in shapes)
        scopes = (
            [{"q", "k", "v"}, {"o"}, {"gate"}, {"up"}, {"down"}]
            if beta
            else [{role} for role in ("q", "k", "v", "o", "gate", "up", "down")]
        )
        for scope in scopes:
            members = [group for group in plan.groups if group.shape.role in scope]
            budget = math.floor((1 - Fraction(str(ratio))) * sum(group.shape.dense_parameters for group in members))
            parts = [[g for g in members if g.shape.role == role] for role in scope]
            exact = sum(math.floor((1 - Fraction(str(ratio))) * sum(g.shape.dense_parameters for g in part)) for part in parts)
            assert 0 <= budget - exact < len(scope)
            assert_spent([g.rank for g in members], [g.shape for g in members], exact)
        assert not any(group.dense for group in plan.groups)


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("beta", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_a_higher_ratio_costs_every_group_ranks(kind, beta, seed):
    """Real ranks fall in every group; rounding may move single ranks between groups."""
    shapes, density = SMALL[kind], random_density(SMALL[kind], seed)
    plans = [allocate(shapes, density, r / 100, D_RANK | {"beta": beta}, model="m", method="x") for r in range(5, 75, 5)]
    for low, high in itertools.pairwise(plans):
        assert high.parameters < low.parameters
        assert all(b.rank <= a.rank + 1 for a, b in zip(low.groups, high.groups, strict=True))


def test_densities_within_a_type_decide_and_the_rank_follows_their_square_root():
    shapes = [Shape("v", (i,), 400, 400) for i in range(3)]
    density = {"v.00": 100.0, "v.01": 400.0, "v.02": 900.0}
    plan = allocate(shapes, density, 0.4, D_RANK | {"beta": 0.0}, model="m", method="x")
    expected = equation_7(np.array([100.0, 400.0, 900.0]), np.full(3, 800.0), 0.6 * 3 * 400 * 400)
    assert expected.tolist() == pytest.approx([60, 120, 180])
    assert of_role(plan, "v") == [60, 120, 180]
    assert [group.effective_rank for group in plan.groups] == [100.0, 400.0, 900.0]


@pytest.mark.parametrize("kind", SMALL)
def test_uniform_ranks_are_those_of_svd_llm_and_basis_sharing(kind):
    """⌊keep · d1 · n d2 / (d1 + n d2)⌋, and the same rank for equal groups but for one that the remainder pays for."""
    shapes = SMALL[kind]
    plan = allocate(shapes, random_density(shapes, 1), 0.2, D_RANK | {"allocator": "uniform", "beta": 0.0}, model="m", method="x")
    for group in plan.groups:
        published = math.floor(0.8 * group.shape.dense_parameters / group.shape.cost)
        assert published <= group.rank <= published + 1
    for role in ("q", "k", "v", "o", "gate", "up", "down"):
        equal = {
            len(g.shape.layers): {h.rank for h in plan.groups if h.shape.role == role and len(h.shape.layers) == len(g.shape.layers)}
            for g in plan.groups
        }
        assert all(max(ranks) - min(ranks) <= 1 for ranks in equal.values() if ranks)


def test_a_uniform_remainder_does_not_follow_the_density():
    """Eight groups with half a rank left each: four get one more, none gets four."""
    shapes = [Shape("q", (i,), 40, 60) for i in range(8)]
    density = {shape.name: 1000.0 if i == 5 else 2.0 for i, shape in enumerate(shapes)}
    ratio = 1 - 10.5 * 100 / 2400
    plan = allocate(shapes, density, ratio, D_RANK | {"allocator": "uniform", "beta": 0.0}, model="m", method="x")
    assert sorted(of_role(plan, "q")) == [10] * 4 + [11] * 4


def test_random_ranks_are_the_same_every_time_and_others_for_another_seed():
    shapes = SMALL["mha"]
    settings = D_RANK | {"allocator": "random", "beta": 0.0}
    density = random_density(shapes, 0)
    first = allocate(shapes, density, 0.2, settings, model="m", method="x")
    assert first == allocate(shapes, density, 0.2, settings, model="m", method="x")
    other = allocate(shapes, density, 0.2, settings | {"seed": 14}, model="m", method="x")
    assert [g.rank for g in other.groups] != [g.rank for g in first.groups]
    assert of_role(first, "q") != of_role(first, "k"), "types of one shape draw their own ranks"
    blind = allocate(shapes, dict.fromkeys(density, 1.0), 0.2, settings, model="m", method="x")
    assert [g.rank for g in blind.groups] == [g.rank for g in first.groups], "chance alone decides"
    lower = allocate(shapes, density, 0.4, settings, model="m", method="x")
    order = [np.argsort([g.rank for g in plan.groups if g.shape.role == "down"]).tolist() for plan in (first, lower)]
    assert order[0] == order[1], "one draw serves every ratio"


@pytest.mark.parametrize("kind", SMALL)
def test_full_ranks_ignore_the_budget(kind):
    plan = allocate(SMALL[kind], random_density(SMALL[kind], 0), 0.0, D_RANK | {"allocator": "full", "beta": 0.0}, model="m", method="x")
    assert [group.rank for group in plan.groups] == [group.shape.max_rank for group in plan.groups]


def test_the_plan_states_what_it_was_asked():
    plan = allocate(SMALL["mha"], random_density(SMALL["mha"], 0), 0.2, D_RANK, model="toy", method="d-rank")
    assert (plan.model, plan.method, plan.ratio, plan.settings) == ("toy", "d-rank", 0.2, D_RANK)
    assert Plan.from_json(plan.to_json()) == plan


def test_every_allocator_answers_any_problem():
    shapes = tuple(shape for shape in SMALL["gqa"] if shape.role == "k")
    problem = Problem(shapes, np.full(len(shapes), 3.0), sum(s.cost for s in shapes) * 2)
    for name, solve in ALLOCATORS.items():
        ranks = solve(problem, {"seed": 13})
        assert ranks.shape == (len(shapes),), name
        assert (ranks >= 1).all() and (ranks <= problem.caps).all(), name


# --- budgets


@pytest.mark.parametrize("percent", range(1, 100))
def test_no_parameter_is_lost_to_the_binary_form_of_a_ratio(percent):
    """A budget of (1 − θ) · 8 000 000 is a whole number of 100-parameter ranks; θ = 0.2 or 0.07 is no binary fraction."""
    shape = Shape("q", (0,), 50, 50)
    shapes = [Shape("q", (i,), 50, 50) for i in range(4)]
    assert shape.cost == 100 and 4 * shape.dense_parameters == 10_000
    plan = (
        allocate(shapes, {s.name: 5.0 for s in shapes}, percent / 100, D_RANK | {"beta": 0.0}, model="m", method="x")
        if percent <= 96
        else None
    )
    if plan is None:
        with pytest.raises(BudgetError):
            check_budget(shapes, percent / 100)
    else:
        assert plan.parameters == 10_000 - 100 * percent


def test_a_ratio_too_high_for_rank_1_names_every_type_and_the_highest_ratio_that_works():
    """K and V of GQA, 24 × 8: rank 1 costs 32 of 192; Q and O 48 of 576; the MLP 88 of 1536."""
    shapes = SMALL["gqa"]
    with pytest.raises(BudgetError) as error:
        check_budget(shapes, 0.93)
    message = str(error.value)
    assert "ratio 0.93" in message
    assert [role for role in ("q", "k", "v", "o", "gate", "up", "down") if f"{role}: " in message] == ["q", "k", "v", "o"]
    assert "k: 80 parameters, rank 1 costs 192 (highest ratio 0.8333)" in message
    with pytest.raises(BudgetError, match=r"highest ratio 0\.8333"):
        allocate(shapes, random_density(shapes, 0), 0.93, D_RANK, model="m", method="x")
    check_budget(shapes, 0.8333)
    with pytest.raises(BudgetError):
        check_budget(shapes, 0.8334)


def test_at_the_highest_ratio_every_rank_is_one():
    shapes = [Shape("q", (i,), 10, 10) for i in range(3)]
    plan = allocate(shapes, {s.name: 7.0 for s in shapes}, 0.8, D_RANK | {"beta": 0.0}, model="m", method="x")
    assert of_role(plan, "q") == [1, 1, 1]


# --- rebalancing


@given(st.floats(0, 0.9), st.lists(st.floats(1, 4000), min_size=2, max_size=6), st.integers(0, 100))
def test_rebalancing_is_equations_9_to_12(beta, values, seed):
    """k_Q and k_K times (1 − β); t = β/G · (Σ k_Q + Σ k_K) on every V; everything else untouched."""
    rng = np.random.default_rng(seed)
    ranks = {role: np.array(values) * rng.uniform(0.5, 2, len(values)) for role in ("q", "k", "v", "o", "up")}
    moved = rebalance(ranks, beta)
    t = beta / len(values) * (ranks["q"].sum() + ranks["k"].sum())
    np.testing.assert_allclose(moved["q"], ranks["q"] * (1 - beta))
    np.testing.assert_allclose(moved["k"], ranks["k"] * (1 - beta))
    np.testing.assert_allclose(moved["v"], ranks["v"] + t)
    assert moved["o"] is ranks["o"] and moved["up"] is ranks["up"]
    assert sum(moved[r].sum() for r in "qkv") == pytest.approx(sum(ranks[r].sum() for r in "qkv"))


def llama_7b(density_of=lambda shape: 100.0):
    shapes = [shape for shape in model_shapes(4096, 4096, 11008, 32, 2) if shape.role in "qkv"]
    return shapes, {shape.name: float(density_of(shape)) for shape in shapes}


@pytest.mark.parametrize(("ratio", "threshold"), [(0.2, 0.125), (0.3, 3 / 14), (0.4, 1 / 3), (0.5, 0.5)])
def test_v_of_llama_7b_passes_break_even_at_the_known_beta(ratio, threshold):
    """k_V = (1 + 2β)(1 − θ) k_even for equal densities, so V is past break-even from β = θ / (2 (1 − θ)) on."""
    shapes, density = llama_7b()
    for beta, past in ((threshold - 0.002, False), (threshold + 0.002, True)):
        plan = allocate(shapes, density, ratio, D_RANK | {"beta": beta}, model="7b", method="d-rank")
        groups = [group for group in plan.groups if group.shape.role == "v"]
        assert groups[0].shape.break_even == pytest.approx(2730.67, abs=0.01)
        assert all(group.past_break_even is past for group in groups)


def test_ranks_of_llama_7b_at_20_percent_and_beta_3_tenths():
    """Mean k_V about 3494 where break-even is 2730, with the effective ranks of the paper's table 1 spread over the depth."""
    tables = {"v": [118, 592, 778, 1026, 973, 1148, 846], "k": [6, 8, 12, 15, 12, 11, 10], "q": [7, 12, 33, 24, 25, 29, 23]}
    groups = [1, 3, 7, 10, 12, 14, 16]
    shapes, density = llama_7b(lambda s: np.interp(s.layers[0] // 2 + 1, groups, tables[s.role]))
    before = allocate(shapes, density, 0.2, D_RANK | {"beta": 0.0}, model="7b", method="d-rank")
    after = allocate(shapes, density, 0.2, D_RANK | {"beta": 0.3}, model="7b", method="d-rank")
    for role in "qkv":
        assert np.mean(of_role(before, role)) == pytest.approx(0.8 * 4096 * 8192 / 12288, abs=1)
    assert np.mean(of_role(after, "v")) == pytest.approx(3494, abs=3)
    for role in "qk":
        for old, new in zip(of_role(before, role), of_role(after, role), strict=True):
            assert new == pytest.approx(0.7 * old, abs=1.5)
    moved = 0.3 / 16 * (sum(of_role(before, "q")) + sum(of_role(before, "k")))
    for old, new in zip(of_role(before, "v"), of_role(after, "v"), strict=True):
        assert new == pytest.approx(old + moved, abs=30), "48 roundings leave some 24 ranks to hand out, to whom the density favours"
    budget = 3 * math.floor(0.8 * 16 * 4096 * 8192 + 1e-6)
    assert 0 <= budget - after.parameters < 12288
    assert after.dense_parameters == 3 * 16 * 4096 * 8192


def test_grouped_query_attention_keeps_its_budget_where_ranks_alone_would_lose_it():
    """LLaMA-3-8B, β = .1 at 20 %: moving ranks leaves k_V = 884 and frees 503 k parameters a layer; handed on they make it 983."""
    shapes = [shape for shape in model_shapes(4096, 1024, 14336, 32, 1) if shape.role in "qkv"]
    density = {shape.name: {"q": 25.0, "k": 12.0, "v": 700.0}[shape.role] for shape in shapes}
    plan = allocate(shapes, density, 0.2, D_RANK | {"beta": 0.1}, model="8b", method="d-rank")
    real = {
        "q": np.full(32, 0.8 * 4096 * 4096 / 8192),
        "k": np.full(32, 0.8 * 4096 * 1024 / 5120),
        "v": np.full(32, 0.8 * 4096 * 1024 / 5120),
    }
    moved = rebalance(real, 0.1)
    costs = {"q": 8192, "k": 5120, "v": 5120}
    lost = sum(costs[role] * (real[role] - moved[role]).sum() for role in "qkv") / 32
    assert lost == pytest.approx(503_316, abs=1)
    assert moved["v"].mean() == pytest.approx(884.7, abs=0.1)
    assert np.mean(of_role(plan, "v")) == pytest.approx(983, abs=2), "and what rounding Q and K down frees"
    assert np.mean(of_role(plan, "q")) == pytest.approx(0.9 * 1638.4, abs=1)
    budget = math.floor(0.8 * 32 * (4096 * 4096 + 2 * 4096 * 1024) + 1e-6)
    assert 0 <= budget - plan.parameters < 5120 + 2


def test_a_v_that_is_full_leaves_the_rest_to_q_and_k():
    shapes = [shape for shape in SMALL["mha"] if shape.role in "qkv"]
    plan = allocate(shapes, random_density(shapes, 0), 0.1, D_RANK | {"beta": 0.45}, model="m", method="x")
    assert of_role(plan, "v") == [24, 24, 24]
    members = list(plan.groups)
    assert_spent([g.rank for g in members], [g.shape for g in members], 3 * math.floor(0.9 * 3 * 24 * 48 + 1e-6))


def test_beta_needs_q_k_and_v():
    shapes = [shape for shape in SMALL["mha"] if shape.role not in "kv"]
    with pytest.raises(ValueError, match=r"method d-rank: beta 0\.3 needs separate q, k and v projections, this model has q, o, gate"):
        allocate(shapes, random_density(shapes, 0), 0.2, D_RANK, model="m", method="d-rank")
    allocate(shapes, random_density(shapes, 0), 0.2, D_RANK | {"beta": 0.0}, model="m", method="d-rank")


# --- dense past break-even


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("beta", [0.0, 0.3, 0.45])
@pytest.mark.parametrize("seed", range(3))
def test_dense_groups_are_those_past_break_even_and_what_they_free_is_spent(kind, ratio, beta, seed):
    shapes, density = SMALL[kind], random_density(SMALL[kind], seed)
    plan = allocate(shapes, density, ratio, D_RANK | {"beta": beta, "dense_past_break_even": True}, model="m", method="x")
    plain = allocate(shapes, density, ratio, D_RANK | {"beta": beta}, model="m", method="x")
    for group in plan.groups:
        assert group.dense is group.past_break_even
        assert group.parameters == (group.shape.dense_parameters if group.dense else group.rank * group.shape.cost)
    kept = {group.shape.name for group in plan.groups if group.dense}
    assert kept >= {group.shape.name for group in plain.groups if group.past_break_even}
    scopes = (
        [("q", "k", "v"), ("o",), ("gate",), ("up",), ("down",)] if beta else [(r,) for r in ("q", "k", "v", "o", "gate", "up", "down")]
    )
    for scope in scopes:
        members = [group for group in plan.groups if group.shape.role in scope]
        parts = [sum(g.shape.dense_parameters for g in members if g.shape.role == role) for role in scope]
        budget = sum(math.floor((1 - Fraction(str(ratio))) * part) for part in parts)
        dense = {i for i, g in enumerate(members) if g.dense}
        assert_spent([g.rank for g in members], [g.shape for g in members], budget, dense)


def test_one_dense_group_can_pull_the_next_one_past_break_even():
    """Three 10 × 10 groups, break-even 5, budget 240 of 300: ranks 10, 1, 1 by the density; a dense first group pays for more."""
    shapes = [Shape("v", (i,), 10, 10) for i in range(3)]
    ranks, dense = with_dense(np.array([10.0, 1.0, 1.0]), np.array([5000.0, 40.0, 1.0]), shapes, 240)
    assert dense == [True, True, False]
    assert ranks[2] == 2, "100 + 100 dense, 40 left for rank 2"
    assert ranks[0] == 10 and ranks[1] >= 5


def test_all_dense_where_the_budget_has_room_for_it():
    shapes = [Shape("v", (i,), 10, 10) for i in range(2)]
    assert with_dense(np.array([5.0, 5.0]), np.array([1.0, 1.0]), shapes, 200) == ([5, 5], [True, True])
