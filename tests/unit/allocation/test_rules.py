"""Rules that spread a budget by a weight, against the papers' formulas, a numerical optimiser and small cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from drank.allocation import DENSITIES, Evidence
from drank.allocation.by_loss import importance_loss, importances, loss_ratio
from drank.allocation.by_sensitivity import sensitivity
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.allocation.rebalancing import by_parameters, by_ranks
from drank.allocation.released import released, truncated
from drank.allocation.rules import by_density, closed_form, densities_of, level, random, uniform
from drank.models.groups import Shape
from tests.unit.allocators_fixture import model_shapes, problem, random_evidence

densities = st.floats(1.0, 2000.0)


def equation_7(density, costs, budget):
    """k_g = T / Σ_j sqrt(R_j ω_j) · sqrt(R_g / ω_g)."""
    return budget / np.sqrt(density * costs).sum() * np.sqrt(density / costs)


def a_problem(budget_share: float, seed: int = 0, **options) -> Problem:
    """Eight Q groups of 30 × 30 and a last one of half the width."""
    shapes = (*(Shape("q", (2 * i, 2 * i + 1), 30, 15) for i in range(8)), Shape("q", (16,), 30, 15))
    budget = int(budget_share * sum(shape.dense_parameters for shape in shapes))
    highest = tuple(shape.max_rank for shape in shapes)
    return Problem("q", shapes, budget, options.get("low", (1,) * 9), options.get("high", highest), False, random_evidence(shapes, seed))


# --- the closed form


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


# --- densities


def test_densities_of_a_spectrum_worked_by_hand():
    """λ = 16, 9, 9, 1, 1 with σ = 4, 3, 3, 1, 1; uniform rank 2.7."""
    energies = np.array([16.0, 9, 9, 1, 1])
    found = {name: density(energies, 2.7) for name, density in DENSITIES.items()}
    p, q = energies / 36, np.sqrt(energies) / 12
    assert found == pytest.approx(
        {
            "spectral-entropy": math.prod(share**-share for share in p),
            "amplitude-entropy": math.prod(share**-share for share in q),
            "stable-rank": 36 / 16,
            "nuclear-norm": 12.0,
            "energy-rank": 4.0,  # 35/36 is more than 95 %, 34/36 = 94.4 % is less
            "truncation-loss": 9 + 1 + 1,
        }
    )


def test_the_energy_rank_holds_95_percent_and_one_rank_less_does_not():
    assert DENSITIES["energy-rank"](np.full(20, 0.1), 1) == 19, "19 of 20 equal ones are just 95 %"
    for seed in range(50):
        energies = np.sort(np.random.default_rng(seed).lognormal(sigma=2, size=30))[::-1]
        k = int(DENSITIES["energy-rank"](energies, 1))
        assert energies[:k].sum() >= 0.95 * energies.sum() > energies[: k - 1].sum()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("dead", [[3], range(9)], ids=["one dead group", "all dead"])
def test_spectra_of_zeros_have_a_density_that_ranks_can_be_made_of(name, dead):
    case = a_problem(0.4)
    energies = dict(case.evidence.energies) | {case.shapes[i].name: np.zeros(case.shapes[i].max_rank) for i in dead}
    case = Problem(case.label, case.shapes, case.budget, case.low, case.high, False, Evidence(case.shapes, energies))
    density = densities_of(case, Options(density=name))
    assert (density > 0).all() and np.isfinite(density).all()
    ranks = by_density(case, Options(density=name))
    assert ranks @ case.costs == pytest.approx(case.budget) and (ranks >= 1).all()
    if len(dead) == 1:
        assert ranks[3] == ranks.min()


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_do_not_change_ranks_when_all_energies_are_scaled(name):
    case = a_problem(0.5)
    scaled = Evidence(case.shapes, {key: 1e-7 * values for key, values in case.evidence.energies.items()})
    other = Problem(case.label, case.shapes, case.budget, case.low, case.high, False, scaled)
    np.testing.assert_allclose(by_density(case, Options(density=name)), by_density(other, Options(density=name)), rtol=1e-9)


# --- uniform and random


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


# --- loss ratio, importance × loss


def test_loss_ratio_is_the_published_formula_for_equal_sizes():
    """r_m = M · R · (1/ln(e + L_m)) / Σ 1/ln(e + L), L the Frobenius norm of what the uniform rank leaves out."""
    shapes = [Shape("q", (i,), 30, 30) for i in range(6)]
    evidence = random_evidence(shapes, 3)
    ratio, total = 0.3, 6 * 900
    case = Problem("q", tuple(shapes), round(0.7 * total), (1,) * 6, (30,) * 6, False, evidence)
    rank = math.floor(0.7 * 900 / 60)
    logs = np.array([math.log(math.e + math.sqrt(evidence.energies[s.name][rank:].sum())) for s in shapes])
    removed = 6 * ratio * (1 / logs) / (1 / logs).sum()
    np.testing.assert_allclose(loss_ratio(case, Options()), (1 - removed) * 900 / 60, rtol=1e-9)


def test_groups_that_lose_more_keep_more_and_bounds_hold():
    case = a_problem(0.6)
    ranks = loss_ratio(case, Options())
    equal = slice(0, 8)
    assert np.argsort(ranks[equal]).tolist() == np.argsort(case.losses[equal]).tolist()
    assert ranks @ case.costs == pytest.approx(case.budget)
    tight = a_problem(0.6, high=(9,) * 8 + (9,))
    held = loss_ratio(tight, Options())
    assert held.max() == 9 and held @ tight.costs == pytest.approx(tight.budget)


def test_importance_is_the_min_max_of_what_a_block_changes():
    evidence = Evidence((), similarities=[0.5, 0.9, 0.7])
    assert importances(evidence).tolist() == pytest.approx([2.0, 1.0, 1.5])
    assert importances(Evidence((), similarities=[0.8, 0.8])).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("mix", [0.0, 0.3, 1.0])
def test_importance_loss_shares_what_the_floors_leave(mix):
    """k = floor + (budget − Σ floor · ω) · s / Σ s / ω with s = importance^α · ln(e + ε)^(1−α), equal sizes."""
    shapes = [Shape("v", (2 * i, 2 * i + 1), 40, 20) for i in range(4)]
    evidence = random_evidence(shapes, 5)
    case = Problem("v", tuple(shapes), 4000, (7,) * 4, (40,) * 4, False, evidence)
    change = 1 - np.array(evidence.similarities)
    layers = 1 + (change - change.min()) / (change.max() - change.min())
    importance = np.array([layers[2 * i : 2 * i + 2].mean() for i in range(4)])
    rank = math.floor(4000 / 4 / 80)
    errors = np.array([math.sqrt(evidence.energies[s.name][rank:].sum()) for s in shapes])
    s = importance**mix * np.log(math.e + errors) ** (1 - mix)
    expected = 7 + (4000 - 4 * 7 * 80) * s / s.sum() / 80
    np.testing.assert_allclose(importance_loss(case, Options(mix=mix)), expected, rtol=1e-9)


def test_importance_loss_without_a_mix_says_where_to_get_one():
    with pytest.raises(ValueError, match=r"importance-loss: mix is not set; choose it on validation text"):
        importance_loss(a_problem(0.5), Options())


# --- sensitivity search


def searched(tables: list[dict[str, float]], budget: int) -> np.ndarray:
    shapes = tuple(Shape("q", (i,), 10, 10) for i in range(len(tables)))
    evidence = Evidence(shapes, sensitivity={s.name: table for s, table in zip(shapes, tables, strict=True)})
    case = Problem("model", shapes, budget, (1,) * len(shapes), (10,) * len(shapes), False, evidence)
    return sensitivity(case, Options()) / 5  # break-even is 5


def test_the_lowest_threshold_that_meets_the_budget_decides_the_kept_ratios():
    tables = [{"0.3": 30.0, "0.6": 12.0}, {"0.3": 11.0, "0.6": 10.5}]
    assert searched(tables, 200).tolist() == [1, 1], "all dense"
    assert searched(tables, 199).tolist() == pytest.approx([1, 0.6])
    assert searched(tables, 159).tolist() == pytest.approx([1, 0.3])
    assert searched(tables, 129).tolist() == pytest.approx([0.6, 0.3])
    assert searched(tables, 80).tolist() == pytest.approx([0.3, 0.3])
    assert searched(tables, 50).tolist() == pytest.approx([0.3, 0.3]), "the rounding takes the rest back"


def test_the_smallest_ratio_below_the_threshold_is_kept_where_perplexities_are_not_monotone():
    assert searched([{"0.2": 11.0, "0.5": 12.0, "0.8": 10.0}], 60).tolist() == pytest.approx([0.2])


@given(st.integers(0, 1000), st.integers(2, 5), st.integers(1, 99))
def test_the_search_is_that_of_trying_all_thresholds(seed, count, percent):
    rng = np.random.default_rng(seed)
    tables = [{f"{k / 10:g}": float(rng.integers(10, 40)) for k in range(1, 10)} for _ in range(count)]
    budget = max(count * 10, count * percent)

    def kept(t):
        return [min((float(r) for r, p in table.items() if p <= t), default=1.0) for table in tables]

    meeting = [t for t in sorted({0.0, *(p for table in tables for p in table.values())}) if sum(kept(t)) * 100 <= budget + 1e-9]
    assert searched(tables, budget).tolist() == pytest.approx(kept(meeting[0]))


# --- the release


def by_hand(case: Problem, density) -> list[int]:
    """Eq. 7 rounded down, then at most 2 · G unit steps on the largest R/ω."""
    ranks = np.floor(equation_7(density, case.costs, case.budget)).astype(int)
    best = int(np.argmax(density / case.costs))
    for _ in range(2 * len(ranks)):
        if (ranks @ case.costs) + case.costs[best] > case.budget:
            break
        ranks[best] += 1
    return ranks.tolist()


@pytest.mark.parametrize(("kind", "dynamic"), [("q", True), ("gate", False), ("gate_up", False)])
def test_the_release_keeps_gate_static_and_repairs_the_others_on_one_group(kind, dynamic):
    case = a_problem(0.5)
    shapes = tuple(Shape(kind, s.layers, s.rows, s.columns) for s in case.shapes)
    energies = {new.name: case.evidence.energies[old.name] for new, old in zip(shapes, case.shapes, strict=True)}
    case = Problem(kind, shapes, case.budget, case.low, case.high, False, Evidence(shapes, energies))
    density = densities_of(case, Options())
    found = released(case, Options()).tolist()
    assert found == (by_hand(case, density) if dynamic else np.floor(case.uniform + 1e-9).tolist())
    assert np.dot(found, case.costs) <= case.budget


def test_the_release_takes_dynamic_ranks_for_down_only_where_they_lose_less():
    chosen = []
    for seed in range(30):
        case = a_problem(0.5, seed)
        shapes = tuple(Shape("down", s.layers, s.rows, s.columns) for s in case.shapes)
        scales = np.random.default_rng(seed).lognormal(sigma=3, size=9)
        energies = {new.name: x * case.evidence.energies[old.name] for new, old, x in zip(shapes, case.shapes, scales, strict=True)}
        case = Problem("down", shapes, case.budget, case.low, case.high, False, Evidence(shapes, energies))
        static = np.floor(case.uniform + 1e-9).astype(int).tolist()
        dynamic = by_hand(case, densities_of(case, Options()))
        found = released(case, Options()).astype(int).tolist()
        assert found == (dynamic if truncated(case, dynamic) < truncated(case, static) else static)
        chosen.append(found == static)
    assert 0 < sum(chosen) < 30, "both happen"


# --- rebalancing


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
