"""Rules of the methods that D-Rank is compared with and of its release, against formulas and searches as published."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.allocation.by_loss import importance_loss, importances, loss_ratio
from drank.allocation.by_sensitivity import sensitivity
from drank.allocation.evidence import Evidence
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.models.groups import Shape
from tests.unit.allocators_fixture import a_problem, random_evidence


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
