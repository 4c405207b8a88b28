"""The guard: ranks by density only where they lose less than uniform ones."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drank.allocation.evidence import Evidence
from drank.allocation.guard import guarded, in_units, truncated
from drank.allocation.options import Options
from drank.allocation.problem import Problem, problems_of
from drank.allocation.rounding import settled
from drank.allocation.rules import uniform
from drank.models.groups import Shape
from tests.unit.allocators_fixture import SMALL, of_kind, plan_of, random_evidence


def a_problem(seed: int, percent: int) -> Problem:
    """One kind of projection of a small model, at random."""
    case = problems_of(random_evidence(next(iter(SMALL.values())), seed), percent / 100, Options(), dense=False)[0]
    assert len(case.shapes) > 1
    return case


@given(seed=st.integers(0, 500), percent=st.integers(5, 70), spread=st.floats(0.2, 5))
def test_the_guard_keeps_whichever_loses_less(seed, percent, spread):
    """Also where what it is given is far from uniform, in whatever direction."""
    case = a_problem(seed, percent)
    static = uniform(case, Options())
    given_ranks = static * np.exp(np.random.default_rng(seed).normal(0, spread, len(static)))
    given_ranks *= case.budget / (given_ranks @ case.costs)
    found = guarded(case, Options(), given_ranks)
    lost = [truncated(case, settled(case, ranks)) for ranks in (found, given_ranks, static)]
    assert lost[0] == min(lost[1:])


def test_a_guarded_plan_has_ranks_by_density_for_some_kinds_and_uniform_ones_for_others():
    """Over many models both happen, so that neither answer alone would do."""
    taken = set()
    for seed in range(40):
        evidence = random_evidence(next(iter(SMALL.values())), seed)
        by, held, static = (
            plan_of(evidence, 0.4, **options)
            for options in ({"allocator": "effective-rank"}, {"allocator": "effective-rank", "guard": True}, {"allocator": "uniform"})
        )
        for kind in {group.shape.kind for group in held.groups}:
            if of_kind(by, kind) != of_kind(static, kind):
                taken |= {name for name, plan in (("density", by), ("uniform", static)) if of_kind(held, kind) == of_kind(plan, kind)}
    assert taken == {"density", "uniform"}


def test_the_guard_takes_uniform_ranks_where_those_by_density_lose_more():
    """One direction holds nearly all of a layer's energy, whose effective rank is then near 1: the closed form starves it."""
    shapes = tuple(Shape("down", (i,), 20, 20) for i in range(2))
    spiked = np.r_[1e6, np.linspace(100, 50, 19)]
    flat = np.linspace(1, 0.5, 20)
    evidence = Evidence(shapes, {"down.00": spiked, "down.01": flat})
    starved, held = (plan_of(evidence, 0.4, allocator="effective-rank", guard=guard) for guard in (False, True))
    assert [group.rank for group in held.groups] == [6, 6]
    assert starved.groups[0].rank < 4 < starved.groups[1].rank
    case = Problem("down", shapes, 480, (1, 1), (20, 20), False, evidence)
    assert guarded(case, Options(), np.array([2.0, 10.0])).tolist() == [6, 6] and truncated(case, [25, 25]) == 0


def test_a_kind_that_falls_back_is_rounded_in_the_units_of_the_others():
    """With β, Q, K and V are rounded together: what is left over goes by one objective, not to whoever has the larger numbers."""
    shapes = [Shape(kind, (i,), 64, 64) for kind in ("q", "k", "v") for i in range(8)]
    spread, spiked = np.linspace(1, 0.01, 64) ** 2, np.r_[1e5, np.linspace(1, 0.5, 63)]
    energies = {}
    for shape in shapes:
        even = shape.layers[0] % 2
        level = {"q": (1e3, 1e-3), "v": (1e3, 1e-3), "k": (1.0, 1.0)}[shape.kind][even]
        energies[shape.name] = spiked if shape.kind == "k" and even else spread * level
    plan = plan_of(Evidence(shapes, energies), 0.4, allocator="effective-rank", beta=0.3, guard=True)
    ranks = {kind: [group.rank for group in plan.groups if group.shape.kind == kind] for kind in ("q", "k", "v")}
    alone = {g.shape.name: g.rank for g in plan_of(Evidence(shapes, energies), 0.4, allocator="uniform").groups}
    assert len(set(ranks["k"])) <= 2, "uniform, but for what rounding hands out"
    assert max(ranks["k"]) <= round(0.7 * alone["k.00"]) + 1, "it gets no more than its share of what is left over"


def test_the_densities_of_ranks_give_these_ranks_again():
    shapes = tuple(Shape("q", (i,), 20, 30) for i in range(3))
    case = Problem("q", shapes, 1000, (1,) * 3, (20,) * 3, False, Evidence(shapes))
    claims, ranks = np.array([3.0, 40.0, 7.0]), np.array([5.0, 9.0, 6.0])
    ranks *= case.budget / (ranks @ case.costs)
    found = in_units(case, claims, ranks)
    total = np.sqrt(found * case.costs).sum()
    np.testing.assert_allclose(case.budget / total * np.sqrt(found / case.costs), ranks)
    np.testing.assert_allclose(total, np.sqrt(claims * case.costs).sum(), err_msg="of one size with the claims")
