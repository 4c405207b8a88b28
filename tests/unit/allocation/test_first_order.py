"""First-order selection against the loops of its papers."""

from __future__ import annotations

import heapq

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drank.allocation.evidence import Evidence
from drank.allocation.first_order import greedy, zero_sum
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.allocation.rounding import settled
from drank.models.groups import Shape
from tests.unit.allocators_fixture import assert_full


@st.composite
def selection_problems(draw):
    count = draw(st.integers(1, 4))
    shapes = tuple(Shape("q", (i,), draw(st.integers(2, 9)), draw(st.integers(2, 9))) for i in range(count))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    slopes = {s.name: np.round(rng.normal(size=s.max_rank), draw(st.sampled_from([1, 6]))) for s in shapes}
    low = tuple(draw(st.integers(1, 2)) for _ in shapes)
    high = tuple(draw(st.sampled_from([s.max_rank, max(bottom, s.max_rank // 2)])) for bottom, s in zip(low, shapes, strict=True))
    case = Problem("model", shapes, 0, low, high, True, Evidence(shapes, slopes=slopes))
    top = case.spent([case.allowed(i, rank) for i, rank in enumerate(high)])
    budget = draw(st.integers(case.spent(low), top))
    return Problem("model", shapes, budget, low, high, True, case.evidence)


def by_heaps(case: Problem, zero: bool) -> list[int]:
    """The published loops, one drop at a time, up to where the budget is met; dense groups at their largest rank."""
    slopes = [case.evidence.slopes[shape.name] for shape in case.shapes]
    ranks = [case.allowed(i, rank) for i, rank in enumerate(case.high)]

    def size(i, k):
        return min(case.shapes[i].dense_parameters, k * case.shapes[i].cost)

    total = 0.0
    while sum(size(i, k) for i, k in enumerate(ranks)) > case.budget:
        droppable = [(abs(slopes[i][k - 1]), i) for i, k in enumerate(ranks) if k > case.low[i]]
        if zero and total:
            wanted = [one for one in droppable if (slopes[one[1]][ranks[one[1]] - 1] < 0) == (total > 0)]
            droppable = wanted or droppable
        if zero and not total:  # of two signs with the same size the heap of those that add to the loss is asked first
            droppable = [(size_, slopes[i][ranks[i] - 1] < 0, i) for size_, i in droppable]
        heapq.heapify(droppable)
        i = droppable[0][-1]
        total += slopes[i][ranks[i] - 1]
        ranks[i] -= 1
    return [s.max_rank if size(i, k) == s.dense_parameters else k for i, (k, s) in enumerate(zip(ranks, case.shapes, strict=True))]


def stripped(case: Problem, found: np.ndarray, published: list[int]) -> None:
    """Our ranks are the published ones with steps handed back."""
    ranks = settled(case, found)
    assert all(ours >= theirs for ours, theirs in zip(ranks, published, strict=True))
    assert case.spent(ranks) - case.spent(published) < max(shape.cost for shape in case.shapes)
    assert_full(case, ranks)


@given(selection_problems())
def test_zero_sum_drops_what_the_published_loop_drops_and_hands_back_the_rest(case):
    stripped(case, zero_sum(case, Options()), by_heaps(case, zero=True))


@given(selection_problems())
def test_greedy_drops_what_the_published_loop_drops_and_hands_back_the_rest(case):
    """Up to ties of |δ|, which leave groups equal in all that the rule looks at: distinct slopes only."""
    values = np.abs(np.concatenate(list(case.evidence.slopes.values())))
    if len(np.unique(values)) == len(values):
        stripped(case, greedy(case, Options()), by_heaps(case, zero=False))
    else:
        assert_full(case, settled(case, greedy(case, Options())))


def test_a_component_behind_a_larger_one_goes_right_after_it():
    """|δ| from the last component on: 5, 1, 1 and 2, 3, 9; so 2, 3, 5, 1, 1 go, of which only the last one is below break-even."""
    shapes = (Shape("q", (0,), 4, 4), Shape("q", (1,), 4, 4))  # ω 8, break-even 2
    slopes = {"q.00": np.array([7.0, 1, 1, 5]), "q.01": np.array([7.0, 9, 3, 2])}
    case = Problem("model", shapes, 24, (1, 1), (4, 4), True, Evidence(shapes, slopes=slopes))
    assert settled(case, greedy(case, Options())) == [1, 4]


def test_zero_sum_balances_where_greedy_runs_one_way():
    """Small slopes of one sign in the first group: greedy takes them all, zero-sum answers each with one of the other sign."""
    shapes = (Shape("q", (0,), 20, 20), Shape("q", (1,), 20, 20))
    slopes = {"q.00": np.full(20, 0.1), "q.01": np.full(20, -0.11)}
    case = Problem("model", shapes, 560, (1, 1), (20, 20), True, Evidence(shapes, slopes=slopes))
    assert settled(case, greedy(case, Options())) == [4, 20]
    assert settled(case, zero_sum(case, Options())) == [6, 8], "14 · 0.1 and 12 · −0.11"
