"""Rules that spread a budget by a weight, against the papers' formulas and a numerical optimiser; what a rebalance moves."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from drank.allocation.options import Options
from drank.allocation.rebalancing import by_parameters, by_ranks
from drank.allocation.rules import closed_form, level, random, uniform
from drank.models.groups import Shape
from tests.unit.allocators_fixture import a_problem, equation_7, model_shapes, problem

densities = st.floats(1.0, 2000.0)


def test_closed_form_is_equation_7_where_no_bound_binds():
    density, costs = np.array([118.0, 592.0, 778.0, 1026.0]), np.array([12288.0, 12288.0, 8192.0, 6000.0])
    budget = 0.8 * 4 * 4096 * 8192
    ours = closed_form(density, costs, budget, np.ones(4), np.full(4, 1e9))
    np.testing.assert_allclose(ours, equation_7(density, costs, budget), rtol=1e-12)


def test_closed_form_is_what_a_numerical_optimiser_finds():
    """Two groups at their caps, one at its floor, the rest free."""
    density = np.array([900.0, 4.0, 60.0, 0.01, 250.0, 33.0])
    costs = np.array([30.0, 48.0, 30.0, 30.0, 48.0, 21.0])
    low, high, budget = np.array([1.0, 1, 1, 2, 1, 1]), np.array([12.0, 20.0, 25.0, 15.0, 11.0, 20.0]), 2000.0
    ours = closed_form(density, costs, budget, low, high)
    assert ours[0] == 12 and ours[4] == 11 and ours[3] == 2 and (costs * ours).sum() == pytest.approx(budget)
    found = scipy.optimize.minimize(
        lambda k: (density / k).sum(),
        np.full(6, 8.0),
        jac=lambda k: -density / k**2,
        bounds=list(zip(low, high, strict=True)),
        constraints={"type": "eq", "fun": lambda k: budget - costs @ k, "jac": lambda k: -costs},
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-12},
    )
    assert found.success
    np.testing.assert_allclose(ours, found.x, rtol=1e-4)
    assert (density / ours).sum() <= found.fun * (1 + 1e-9)


@st.composite
def bounded_problems(draw):
    count = draw(st.integers(1, 6))
    density = np.array(draw(st.lists(densities, min_size=count, max_size=count)))
    costs = np.array(draw(st.lists(st.integers(2, 60), min_size=count, max_size=count)), dtype=float)
    low = np.array(draw(st.lists(st.integers(1, 5), min_size=count, max_size=count)), dtype=float)
    high = low + np.array(draw(st.lists(st.integers(0, 40), min_size=count, max_size=count)), dtype=float)
    budget = float(draw(st.integers(int(costs @ low), int(costs @ high))))
    return density, costs, budget, low, high


@given(bounded_problems())
def test_closed_form_meets_budget_bounds_and_optimality_conditions(case):
    """Where a group is free its marginal density/(k² ω) is that of all free groups; at its floor it is below, at its cap above."""
    density, costs, budget, lowest, highest = case
    ranks = closed_form(density, costs, budget, lowest, highest)
    assert (ranks >= lowest).all() and (ranks <= highest).all()
    assert (costs * ranks).sum() == pytest.approx(budget, rel=1e-9)
    marginal = density / (ranks**2 * costs)
    low, high = ranks <= lowest + 1e-9, ranks >= highest - 1e-9
    free = ~(low | high)
    if free.any():
        assert marginal[free].max() == pytest.approx(marginal[free].min(), rel=1e-6)
        assert (marginal[low & ~high] <= marginal[free].max() * (1 + 1e-6)).all()
        assert (marginal[high & ~low] >= marginal[free].min() * (1 - 1e-6)).all()


@given(bounded_problems(), st.floats(1.0, 2.0))
def test_closed_form_gives_nobody_less_for_a_larger_budget(case, more):
    density, costs, budget, low, high = case
    assert (closed_form(density, costs, budget * more, low, high) >= closed_form(density, costs, budget, low, high) - 1e-9).all()


@given(bounded_problems(), st.floats(1e-6, 1e6), st.randoms(use_true_random=False))
def test_closed_form_depends_on_the_proportion_of_densities_alone_and_not_on_the_order_of_groups(case, scale, shuffler):
    density, costs, budget, low, high = case
    ranks = closed_form(density, costs, budget, low, high)
    np.testing.assert_allclose(closed_form(density * scale, costs, budget, low, high), ranks, rtol=1e-7)
    order = np.array(shuffler.sample(range(len(costs)), len(costs)))
    moved = closed_form(density[order], costs[order], budget, low[order], high[order])
    np.testing.assert_allclose(moved, ranks[order], rtol=1e-7)


def test_closed_form_outside_what_the_bounds_allow():
    density, costs, low, high = np.array([5.0, 1.0]), np.array([10.0, 20.0]), np.ones(2), np.array([3.0, 4.0])
    assert closed_form(density, costs, 29.0, low, high).tolist() == [1, 1]
    assert closed_form(density, costs, 110.0, low, high).tolist() == [3, 4]
    assert closed_form(density, costs, 500.0, low, high).tolist() == [3, 4]


@pytest.mark.filterwarnings("error")
def test_closed_form_at_the_very_budget_where_groups_sit_at_their_bounds():
    """Group 0 is full long before group 1 leaves 1: between them the spending stands still."""
    for cap in range(2, 60):
        density, costs, high = np.array([900.3, 0.0007]), np.array([7.0, 13.0]), np.array([float(cap), 50.0])
        assert closed_form(density, costs, 7.0 * cap + 13.0, np.ones(2), high).tolist() == pytest.approx([cap, 1])


def test_a_level_rises_from_a_base():
    """Bases 1 and 5, slopes 1 and 3, costs 2 and 1: 2 (1 + t) + 5 + 3 t = 17 at t = 2; with a cap of 8 the other takes the rest."""
    base, slope, costs, low = np.array([1.0, 5.0]), np.array([1.0, 3.0]), np.array([2.0, 1.0]), np.ones(2)
    assert level(base, slope, costs, 17.0, low, np.full(2, 99.0)).tolist() == pytest.approx([3, 11])
    assert level(base, slope, costs, 17.0, low, np.array([99.0, 8.0])).tolist() == pytest.approx([4.5, 8])
    assert level(base, slope, costs, 4.5, low, np.full(2, 99.0)).tolist() == pytest.approx([1, 2.5]), "below the base as well"


def test_uniform_ranks_spend_the_same_share_of_every_group():
    case = a_problem(0.5)
    np.testing.assert_allclose(uniform(case, Options()) * case.costs / case.sizes, case.budget / case.sizes.sum())
    held = a_problem(0.5, low=(9,) + (1,) * 8, high=(12,) + (30,) * 7 + (4,))
    ranks = uniform(held, Options())
    assert ranks @ held.costs == pytest.approx(held.budget) and ranks[0] == 9 and ranks[8] == 4


def test_random_draws_belong_to_the_kind_and_not_to_the_scope():
    shapes = model_shapes(60, 60, 100, 4, 1)
    both = problem(shapes[:8], sum(s.dense_parameters for s in shapes[:8]) // 2)
    alone = [problem(part, sum(s.dense_parameters for s in part) // 2) for part in (shapes[:4], shapes[4:8])]
    ratios = [random(case, Options(seed=7)) for case in (both, *alone)]
    assert np.argsort(ratios[0][:4]).tolist() == np.argsort(ratios[1]).tolist()
    assert np.argsort(ratios[0][4:]).tolist() == np.argsort(ratios[2]).tolist()


@given(st.floats(0, 0.9), st.lists(st.floats(1, 4000), min_size=2, max_size=6), st.integers(0, 100))
def test_rebalancing_is_equations_9_to_12(beta, values, seed):
    """k_Q and k_K times (1 − β); t = β/G · (Σ k_Q + Σ k_K) on every V; everything else untouched."""
    rng, count = np.random.default_rng(seed), len(values)
    shapes = [Shape(role, (i,), 9, 9) for role in ("q", "k", "v", "o") for i in range(count)]
    ranks = np.tile(values, 4) * rng.uniform(0.5, 2, 4 * count)
    q, k, v, o = ranks.reshape(4, count)
    moved = by_ranks(problem(shapes, 9), ranks, beta)
    expected = np.concatenate([q * (1 - beta), k * (1 - beta), v + beta / count * (q.sum() + k.sum()), o])
    np.testing.assert_allclose(moved, expected)
    np.testing.assert_allclose(by_parameters(problem(shapes, 9), ranks, beta), expected, err_msg="equal costs")


@given(st.floats(0, 0.9), st.integers(0, 100))
def test_moving_parameters_keeps_what_is_spent_on_grouped_query_models(beta, seed):
    shapes = [shape for shape in model_shapes(48, 12, 64, 5, 2) if shape.role in "qkv"]
    case = problem(shapes, 9)
    ranks = np.random.default_rng(seed).uniform(1, 40, len(shapes))
    moved = by_parameters(case, ranks, beta)
    assert moved @ case.costs == pytest.approx(ranks @ case.costs)
    roles = np.array([shape.role for shape in shapes])
    np.testing.assert_allclose(moved[roles != "v"], ranks[roles != "v"] * (1 - beta))
    gains = (moved - ranks)[roles == "v"]
    np.testing.assert_allclose(gains, gains[0], atol=1e-12)
    assert by_ranks(case, ranks, beta) @ case.costs <= ranks @ case.costs * (1 + 1e-12), "ranks alone lose budget, as ω of V is below Q's"
