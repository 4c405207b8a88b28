"""Whole plans: what decides the ranks of every allocator and what does not, and the published figures of D-Rank."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from drank.allocation.allocate import allocate
from drank.allocation.densities import DENSITIES
from drank.allocation.evidence import Evidence
from drank.allocation.plan import Plan
from drank.allocation.rebalancing import REBALANCES, by_ranks
from drank.models.groups import Shape
from tests.unit.allocators_fixture import (
    D_RANK,
    SMALL,
    SPENDING,
    assert_budgets,
    evidence_of,
    flat_spectrum,
    model_shapes,
    of_kind,
    plan_of,
    problem,
    random_density,
    random_evidence,
)


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("beta", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_a_higher_ratio_costs_every_group_ranks(kind, beta, seed):
    """Real ranks fall in every group; rounding may move single ranks between groups."""
    evidence = evidence_of(SMALL[kind], random_density(SMALL[kind], seed))
    plans = [plan_of(evidence, r / 100, **D_RANK | {"beta": beta}) for r in range(5, 75, 5)]
    for low, high in itertools.pairwise(plans):
        assert high.parameters < low.parameters
        assert all(b.rank <= a.rank + 1 for a, b in zip(low.groups, high.groups, strict=True))


def test_densities_within_a_type_decide_and_the_rank_follows_their_square_root():
    """k = T / Σ sqrt(R ω) · sqrt(R / ω): 60, 120 and 180 for R = 40, 160, 360 under 0.6 · 3 · 400²."""
    shapes = [Shape("v", (i,), 400, 400) for i in range(3)]
    plan = plan_of(evidence_of(shapes, {"v.00": 40.0, "v.01": 160.0, "v.02": 360.0}), 0.4, allocator="effective-rank")
    assert of_kind(plan, "v") == [60, 120, 180]
    assert [group.effective_rank for group in plan.groups] == pytest.approx([40, 160, 360])


def test_the_plan_tells_the_papers_effective_rank_whatever_the_density():
    evidence = random_evidence(SMALL["mha"], 0)
    plans = [plan_of(evidence, 0.2, allocator="effective-rank", density=density) for density in DENSITIES]
    assert len({tuple(group.effective_rank for group in plan.groups) for plan in plans}) == 1
    assert len({tuple(group.rank for group in plan.groups) for plan in plans}) == len(DENSITIES)


def test_the_fixture_makes_spectra_of_the_effective_rank_it_is_asked_for():
    for value in (1.0, 1.5, 7.25, 118.0, 1148.0):
        shares = flat_spectrum(value, 4096)
        shares = shares[shares > 0] / shares.sum()
        assert np.exp(-(shares * np.log(shares)).sum()) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("allocator", SPENDING)
def test_the_order_of_the_groups_decides_nothing_but_ties(allocator):
    shapes = [Shape("v", (i,), 60, 70) for i in range(7)]
    evidence = random_evidence(shapes, 2)
    plan = plan_of(evidence, 0.4, allocator=allocator)
    turned = plan_of(replace(evidence, shapes=shapes[::-1]), 0.4, allocator=allocator)
    ranks, other = ({group.shape.name: group.rank for group in one.groups} for one in (plan, turned))
    if allocator == "uniform":
        assert sorted(ranks.values()) == sorted(other.values())
    elif allocator != "random":
        assert ranks == other


@pytest.mark.parametrize("kind", SMALL)
def test_uniform_ranks_are_those_of_svd_llm_and_basis_sharing(kind):
    """⌊keep · d1 · n d2 / (d1 + n d2)⌋, and the same rank for equal groups but for one that the remainder pays for."""
    plan = plan_of(random_evidence(SMALL[kind], 1), 0.2)
    for group in plan.groups:
        published = math.floor(0.8 * group.shape.dense_parameters / group.shape.cost)
        assert published <= group.rank <= published + 1
    for role in ("q", "k", "v", "o", "gate", "up", "down"):
        alike = itertools.groupby((g for g in plan.groups if g.shape.role == role), lambda g: len(g.shape.layers))
        assert all(max(ranks) - min(ranks) <= 1 for _, groups in alike if (ranks := [g.rank for g in groups]))


def test_a_uniform_remainder_does_not_follow_the_density():
    """Eight groups with half a rank left each: four get one more, none gets four."""
    shapes = [Shape("q", (i,), 40, 60) for i in range(8)]
    density = {shape.name: 30.0 if i == 5 else 2.0 for i, shape in enumerate(shapes)}
    plan = plan_of(evidence_of(shapes, density), 1 - 10.5 * 100 / 2400)
    assert sorted(of_kind(plan, "q")) == [10] * 4 + [11] * 4


def test_random_ranks_are_the_same_every_time_and_others_for_another_seed():
    evidence = random_evidence(SMALL["mha"], 0)
    first = plan_of(evidence, 0.2, allocator="random", seed=13)
    assert first == plan_of(evidence, 0.2, allocator="random", seed=13)
    other = plan_of(evidence, 0.2, allocator="random", seed=14)
    assert [g.rank for g in other.groups] != [g.rank for g in first.groups]
    assert of_kind(first, "q") != of_kind(first, "k"), "types of one shape draw their own ranks"
    blind = plan_of(random_evidence(SMALL["mha"], 1), 0.2, allocator="random", seed=13)
    assert [g.rank for g in blind.groups] == [g.rank for g in first.groups], "chance alone decides"
    lower = plan_of(evidence, 0.4, allocator="random", seed=13)
    assert np.argsort(of_kind(first, "down")).tolist() == np.argsort(of_kind(lower, "down")).tolist(), "one draw serves every ratio"


@pytest.mark.parametrize("kind", SMALL)
def test_full_ranks_ignore_the_budget_floors_and_caps(kind):
    plan = plan_of(random_evidence(SMALL[kind], 0), 0.0, allocator="full", cap=0.5)
    assert [group.rank for group in plan.groups] == [group.shape.max_rank for group in plan.groups]
    assert not any(group.dense for group in plan.groups)


def test_the_plan_states_what_it_was_asked():
    plan = allocate(random_evidence(SMALL["mha"], 0), 0.2, D_RANK | {"weighting": "whitening"}, model="toy", method="d-rank")
    assert (plan.model, plan.method, plan.ratio, plan.settings) == ("toy", "d-rank", 0.2, D_RANK | {"weighting": "whitening"})
    assert Plan.from_json(plan.to_json()) == plan
    assert json.loads(plan.to_json())["settings"]["beta"] == 0.3


def llama_7b(density_of=lambda shape: 100.0) -> Evidence:
    shapes = [shape for shape in model_shapes(4096, 4096, 11008, 32, 2) if shape.role in "qkv"]
    return evidence_of(shapes, {shape.name: float(density_of(shape)) for shape in shapes})


@pytest.mark.parametrize(("ratio", "threshold"), [(0.2, 0.125), (0.3, 3 / 14), (0.4, 1 / 3), (0.5, 0.5)])
def test_v_of_llama_7b_passes_break_even_at_the_known_beta(ratio, threshold):
    """k_V = (1 + 2β)(1 − θ) k_even for equal densities, so V is past break-even from β = θ / (2 (1 − θ)) on."""
    evidence = llama_7b()
    for beta, past in ((threshold - 0.002, False), (threshold + 0.002, True)):
        groups = [group for group in plan_of(evidence, ratio, **D_RANK | {"beta": beta}).groups if group.shape.role == "v"]
        assert groups[0].shape.break_even == pytest.approx(2730.67, abs=0.01)
        assert all(group.past_break_even is past for group in groups)


def test_ranks_of_llama_7b_at_20_percent_and_beta_3_tenths():
    """Mean k_V about 3494 where break-even is 2730, with the effective ranks of the paper's table 1 spread over the depth."""
    tables = {"v": [118, 592, 778, 1026, 973, 1148, 846], "k": [6, 8, 12, 15, 12, 11, 10], "q": [7, 12, 33, 24, 25, 29, 23]}
    groups = [1, 3, 7, 10, 12, 14, 16]
    evidence = llama_7b(lambda s: np.interp(s.layers[0] // 2 + 1, groups, tables[s.role]))
    before, after = (plan_of(evidence, 0.2, **D_RANK | {"beta": beta}) for beta in (0.0, 0.3))
    for role in "qkv":
        assert np.mean(of_kind(before, role)) == pytest.approx(0.8 * 4096 * 8192 / 12288, abs=1)
    assert np.mean(of_kind(after, "v")) == pytest.approx(3494, abs=3)
    for role in "qk":
        for old, new in zip(of_kind(before, role), of_kind(after, role), strict=True):
            assert new == pytest.approx(0.7 * old, abs=1.5)
    moved = 0.3 / 16 * (sum(of_kind(before, "q")) + sum(of_kind(before, "k")))
    for old, new in zip(of_kind(before, "v"), of_kind(after, "v"), strict=True):
        assert new == pytest.approx(old + moved, abs=30), "48 roundings leave some 24 ranks to hand out, to whom the density favours"
    budget = 3 * math.floor(0.8 * 16 * 4096 * 8192 + 1e-6)
    assert 0 <= budget - after.parameters < 12288
    assert after.dense_parameters == 3 * 16 * 4096 * 8192


def test_grouped_query_attention_keeps_its_budget_where_ranks_alone_would_lose_it():
    """LLaMA-3-8B, β = .1 at 20 %: moving ranks leaves k_V = 884 and frees 503 k parameters a layer; handed on they make it 983."""
    shapes = [shape for shape in model_shapes(4096, 1024, 14336, 32, 1) if shape.role in "qkv"]
    evidence = evidence_of(shapes, {shape.name: {"q": 25.0, "k": 12.0, "v": 700.0}[shape.role] for shape in shapes})
    budget = math.floor(0.8 * 32 * (4096 * 4096 + 2 * 4096 * 1024) + 1e-6)
    real = np.array([0.8 * shape.break_even for shape in shapes])
    case = problem(shapes, budget)
    moved = by_ranks(case, real, 0.1)
    assert case.costs @ (real - moved) / 32 == pytest.approx(503_316, abs=1)
    assert moved[-32:].mean() == pytest.approx(884.7, abs=0.1)
    for rebalance in REBALANCES:
        plan = plan_of(evidence, 0.2, **D_RANK | {"beta": 0.1, "rebalance": rebalance})
        assert np.mean(of_kind(plan, "v")) == pytest.approx(983, abs=2), "and what rounding Q and K down frees"
        assert np.mean(of_kind(plan, "q")) == pytest.approx(0.9 * 1638.4, abs=1)
        assert 0 <= budget - plan.parameters < 5120 + 2


def test_a_v_that_is_full_leaves_the_rest_to_q_and_k():
    shapes = [shape for shape in SMALL["mha"] if shape.role in "qkv"]
    density = {shape.name: {"q": 4.0, "k": 2.0, "v": 15.0}[shape.role] for shape in shapes}
    plan = plan_of(evidence_of(shapes, density), 0.1, **D_RANK | {"beta": 0.45})
    assert of_kind(plan, "v") == [24, 24, 24]
    assert_budgets(plan, 0.1, beta=0.45)
