"""The guard: ranks by density only where they lose less than uniform ones."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drank.allocation.evidence import Evidence
from drank.allocation.guard import guarded, truncated
from drank.allocation.options import Options
from drank.allocation.problem import Problem
from drank.models.groups import Shape
from tests.unit.allocators_fixture import SMALL, plan_of, random_evidence


@given(seed=st.integers(0, 500), percent=st.integers(5, 70), allocator=st.sampled_from(["effective-rank", "loss-ratio"]))
def test_guarded_ranks_never_lose_more_than_uniform_ones(seed, percent, allocator):
    evidence = random_evidence(next(iter(SMALL.values())), seed)
    free, held, uniform = (
        plan_of(evidence, percent / 100, **options)
        for options in ({"allocator": allocator}, {"allocator": allocator, "guard": True}, {"allocator": "uniform"})
    )
    tails = evidence.tails
    for kind in {group.shape.kind for group in held.groups}:
        lost = [sum(tails[g.shape.name][g.rank] for g in plan.groups if g.shape.kind == kind) for plan in (free, held, uniform)]
        assert lost[1] <= min(lost[2], lost[0]) * (1 + 1e-9) or lost[1] in (lost[0], lost[2])


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
    uniform = guarded(case, Options(), np.array([2.0, 10.0]))
    assert uniform.tolist() == [6, 6] and truncated(case, [25, 25]) == 0
