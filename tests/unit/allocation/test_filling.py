"""The optimal allocator against exhaustive search and the continuous bound."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from drank.allocation.filling import hull_steps, optimal, water_fill
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.models.groups import Shape
from tests.unit.allocators_fixture import assert_full, problem


@st.composite
def filling_problems(draw, dense: bool, equal: bool = False, most: int = 3, longest: int = 6):
    """Small groups with any falling λ, zeros and ties included, bounds and a budget that they can meet."""
    count = draw(st.integers(1, most))
    sides = st.tuples(st.integers(2, longest), st.integers(2, longest))
    same = draw(sides)
    shapes = [Shape("q", (i,), *(same if equal else draw(sides))) for i in range(count)]
    values = st.one_of(st.floats(1e-3, 100), st.sampled_from([0.0, 1.0, 2.0]))
    energies = [sorted(draw(st.lists(values, min_size=s.max_rank, max_size=s.max_rank)), reverse=True) for s in shapes]
    low = [draw(st.integers(1, 2)) for _ in shapes]
    high = [draw(st.integers(bottom, s.max_rank)) for bottom, s in zip(low, shapes, strict=True)]
    case = problem(shapes, 0, energies=energies, dense=dense, low=low, high=high)
    top = case.spent([case.allowed(i, rank) for i, rank in enumerate(high)])
    return problem(shapes, draw(st.integers(case.spent(low), top)), energies=energies, dense=dense, low=low, high=high)


def energies_of(case: Problem) -> list[np.ndarray]:
    return [case.evidence.energies[shape.name] for shape in case.shapes]


def loss(case: Problem, ranks) -> float:
    """Σ of the λ beyond the rank of every group, nothing for one that is dense."""
    return sum(0.0 if case.is_dense(i, k) else values[k:].sum() for i, (k, values) in enumerate(zip(ranks, energies_of(case), strict=True)))


def least_loss(case: Problem) -> float:
    vectors = itertools.product(*(range(low, high + 1) for low, high in zip(case.low, case.high, strict=True)))
    return min(loss(case, ranks) for ranks in vectors if case.spent(ranks) <= case.budget)


def continuous_bound(case: Problem) -> tuple[float, float]:
    """The linear relaxation by scipy: convex combinations of every group's points; and the largest gain of one hull step."""
    points = [(i, k) for i in range(len(case.shapes)) for k in range(case.low[i], case.high[i] + 1)]
    losses = [0.0 if case.is_dense(i, k) else energies_of(case)[i][k:].sum() for i, k in points]
    sizes = [case.parameters(i, k) for i, k in points]
    member = [[float(i == j) for i, _ in points] for j in range(len(case.shapes))]
    found = scipy.optimize.linprog(losses, A_ub=[sizes], b_ub=[case.budget], A_eq=member, b_eq=np.ones(len(member)), bounds=(0, 1))
    assert found.success
    gains = np.concatenate([hull_steps(case, i, values)[2] for i, values in enumerate(energies_of(case))])
    return found.fun, gains.max(initial=0.0)


@given(filling_problems(dense=False, equal=True))
def test_equal_costs_are_filled_to_the_optimum(case):
    ranks = water_fill(case, energies_of(case))
    assert_full(case, ranks)
    assert loss(case, ranks) == pytest.approx(least_loss(case), abs=1e-9)


@given(st.booleans().flatmap(lambda dense: filling_problems(dense=dense)))
def test_the_loss_is_within_one_step_of_the_continuous_bound_which_no_ranks_can_beat(case):
    ranks = water_fill(case, energies_of(case))
    assert_full(case, ranks)
    bound, gain = continuous_bound(case)
    assert bound - 1e-7 <= least_loss(case) <= loss(case, ranks) + 1e-9
    assert loss(case, ranks) <= bound + gain + 1e-7


@given(st.booleans().flatmap(lambda dense: filling_problems(dense=dense)))
def test_a_budget_that_hull_steps_spend_to_the_last_parameter_is_filled_to_the_optimum(case):
    """Every budget at which the greedy stops between two steps."""
    steps = [
        (gain / size, i, j, size)
        for i, v in enumerate(energies_of(case))
        for j, (size, gain) in enumerate(zip(*hull_steps(case, i, v)[1:], strict=True))
    ]
    steps.sort(key=lambda step: (-step[0], step[1], step[2]))
    for taken in range(len(steps) + 1):
        budget = case.spent(case.low) + sum(int(step[3]) for step in steps[:taken])
        exact = Problem("q", case.shapes, budget, case.low, case.high, case.dense, case.evidence)
        assert loss(exact, water_fill(exact, energies_of(exact))) == pytest.approx(least_loss(exact), abs=1e-9)


@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.4, 0.6])
def test_with_dense_storage_the_ranks_are_nearly_always_those_of_exhaustive_search(ratio):
    """Every set of dense groups, each filled with ranks to the optimum: equal in nearly all cases, 5 % off at the very worst."""
    excess = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        shapes = [Shape("v", (i,), 64, 64) for i in range(6)]
        energies = [rng.lognormal() * np.arange(1, 65.0) ** -rng.uniform(0.3, 1.5) for _ in shapes]
        case = problem(shapes, int((1 - ratio) * 6 * 64 * 64), energies=energies, dense=True)
        best = np.inf
        for count in range(7):
            for chosen in itertools.combinations(range(6), count):
                left = (case.budget - count * 4096) // 128 - (6 - count)
                if left >= 0:
                    rest = np.sort(np.concatenate([[0.0], *(e[1:31] for i, e in enumerate(energies) if i not in chosen)]))
                    lost = sum(e[31:].sum() for i, e in enumerate(energies) if i not in chosen)
                    best = min(best, lost + rest[: max(0, len(rest) - left)].sum())
        excess.append(loss(case, water_fill(case, energies)) / best - 1)
    assert min(excess) > -1e-9 and max(excess) < 0.05
    assert sum(value > 1e-9 for value in excess) <= 2


def test_the_hull_leaves_out_ranks_that_dense_storage_beats():
    """10 × 10, ω 20, dense 100. From rank 1 (loss 27) dense gains 27/80 a parameter, from 2 (7) 7/60, from 3 (6) 6/40, from 4 (5) 5/20."""
    case = problem([Shape("q", (0,), 10, 10)], 100, dense=True)
    energies = np.array([50.0, 20, 1, 1, 1, 1, 1, 1, 1, 0])
    ranks, sizes, gains = hull_steps(case, 0, energies)
    assert ranks == [2, 10] and sizes.tolist() == [20, 60] and gains.tolist() == [20, 7]
    assert water_fill(problem([Shape("q", (0,), 10, 10)], 99, dense=True), [energies]) == [4], "what is left still buys ranks"


def test_more_budget_never_loses_more_and_shares_of_energy_make_scales_equal():
    rng = np.random.default_rng(0)
    shapes = [Shape("q", (i,), 20, 30) for i in range(5)]
    energies = [1000.0**i * np.sort(rng.lognormal(size=20))[::-1] for i in range(5)]
    losses, plans = [], []
    for budget in range(5 * 50, 5 * 600, 37):
        case = problem(shapes, budget, energies=energies)
        losses.append(loss(case, optimal(case, Options()).astype(int)))
        shares = problem(shapes, budget, energies=[values / values.sum() for values in energies])
        plans.append(optimal(case, Options(normalise=True)).tolist())
        assert plans[-1] == optimal(shares, Options()).tolist()
    assert all(b <= a for a, b in itertools.pairwise(losses))
    assert plans[30] != optimal(problem(shapes, 250 + 37 * 30, energies=energies), Options()).tolist()


@given(filling_problems(dense=True), st.randoms(use_true_random=False))
def test_the_loss_does_not_depend_on_the_order_of_the_groups(case, shuffler):
    """Nor on the scale of the energies."""
    order = shuffler.sample(range(len(case.shapes)), len(case.shapes))
    picked = [[1e-3 * energies_of(case)[i] for i in order], [case.low[i] for i in order], [case.high[i] for i in order]]
    other = problem([case.shapes[i] for i in order], case.budget, energies=picked[0], dense=True, low=picked[1], high=picked[2])
    a, b = (loss(one, water_fill(one, energies_of(one))) for one in (case, other))
    gain = continuous_bound(case)[1]
    assert abs(a - 1e3 * b) <= gain + 1e-6, "ties and what does not fit may fall otherwise, by one step"
