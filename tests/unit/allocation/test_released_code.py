"""D-Rank's published code, rank for rank: one run of it, and its steps written down a second time, plainly."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.allocation import released_code
from drank.allocation.allocate import allocate
from drank.allocation.evidence import Evidence
from drank.methods import METHODS
from drank.models.groups import Shape
from tests.unit.allocators_fixture import plan_of, random_evidence

CASE = json.loads((Path(__file__).parent / "released-n2-40.json").read_text())["types"]
RATIO = 0.4


def shapes_of(kind: str) -> list[Shape]:
    case = CASE[kind]
    return [Shape(kind, tuple(layers), case["rows"], case["columns"]) for layers in case["groups"]]


@pytest.fixture
def run(monkeypatch):
    """The plan of the release's run: its effective ranks and its truncated energies stand in for spectra, which it does not tell."""
    told = {shape.name: value for kind in CASE for shape, value in zip(shapes_of(kind), CASE[kind]["reff"], strict=True)}

    def densities(problem, options):
        return np.array([told[shape.name] for shape in problem.shapes])

    def lost(problem, ranks, weights=None):
        case = CASE[problem.shapes[0].kind]
        known = {tuple(case["k_dynamic_rounded"]): "err_dynamic", (case["k_static"],) * len(case["groups"]): "err_static"}
        return case[known[tuple(ranks)]]

    monkeypatch.setattr(released_code, "densities_of", densities)
    monkeypatch.setattr(released_code, "truncated", lost)
    shapes = [shape for kind in CASE for shape in shapes_of(kind)]
    return lambda **changes: allocate(
        Evidence(shapes, {shape.name: np.ones(shape.max_rank) for shape in shapes}),
        RATIO,
        METHODS["d-rank-released"].ranking() | changes,
        model="m",
        method="d-rank-released",
    )


@pytest.mark.parametrize(("beta", "column"), [(0.0, "k_after_repair"), (0.2, "k_final")])
def test_every_rank_of_a_run_of_the_release(run, beta, column):
    ranks = {group.shape.name: group.rank for group in run(beta=beta).groups}
    expected = {shape.name: k for kind in CASE for shape, k in zip(shapes_of(kind), CASE[kind][column], strict=True)}
    assert ranks == expected and len(ranks) == 36


def plainly(kinds: dict[str, list[Shape]], evidence: Evidence, densities, ratio: float, grouped: bool) -> dict[str, list[int]]:
    """The release's steps over all kinds, before any transfer for LLaMA, before transfer and repair for grouped queries."""
    ranks = {}
    for kind, shapes in kinds.items():
        nx, nf, n = shapes[0].rows, shapes[0].columns, max(len(shape.layers) for shape in shapes)
        cost = [nx + len(shape.layers) * nf for shape in shapes]
        r = [densities[shape.name] for shape in shapes]
        budget = round(sum(nx * len(shape.layers) * nf for shape in shapes) * (1 - ratio))
        root = sum((a * b) ** 0.5 for a, b in zip(r, cost, strict=True))
        dynamic = [max(1, min(nx, nf, round((a / b) ** 0.5 * budget / root))) for a, b in zip(r, cost, strict=True)]
        static = [max(1, int(nx * n * nf * (1 - ratio) // (nx + n * nf)))] * len(shapes)

        def lost(ks, shapes=shapes):
            return sum(len(s.layers) * evidence.energies[s.name][k:].sum() for s, k in zip(shapes, ks, strict=True))

        better = lost(dynamic) < lost(static)
        if grouped:
            ranks[kind] = dynamic if better and kind in ("v", "o", "up", "down") else static
            continue
        ks = list(dynamic if (better and kind != "gate") or kind in ("q", "k", "v") else static)
        ranks[kind] = repair(ks, cost, r, budget)
    return ranks


def repair(ks, cost, r, budget, top=None):
    for _ in range(2 * len(ks)):
        diff = sum(a * b for a, b in zip(ks, cost, strict=True)) - budget
        order = sorted(range(len(ks)), key=lambda i: r[i] / cost[i])
        if diff > 0 and (able := [i for i in order if ks[i] > 1]):
            ks[able[0]] -= 1
        elif diff < 0 and (able := [i for i in order if top is None or ks[i] < top]):
            ks[able[-1]] += 1
        else:
            break
    return ks


@pytest.mark.parametrize("odd", [False, True])
@given(seed=st.integers(0, 10_000), percent=st.sampled_from([10, 20, 30, 40, 50, 60]))
def test_the_steps_of_the_release_written_down_a_second_time(odd, seed, percent):
    """Also where the last group is smaller than the others, which has the static rank of a full one."""
    kinds = some_kinds(odd)
    evidence = random_evidence([shape for shapes in kinds.values() for shape in shapes], seed)
    densities = {shape.name: density(evidence.energies[shape.name]) for shapes in kinds.values() for shape in shapes}
    expected = plainly(kinds, evidence, densities, percent / 100, grouped=False)
    plan = plan_of(evidence, percent / 100, allocator="released")
    found = {kind: [group.rank for group in plan.groups if group.shape.kind == kind] for kind in kinds}
    assert found == {kind: [min(k, s.max_rank) for k, s in zip(expected[kind], kinds[kind], strict=True)] for kind in kinds}


@given(seed=st.integers(0, 10_000), percent=st.sampled_from([20, 30, 40]))
def test_with_grouped_queries_the_repair_follows_the_transfer_of_parameters(seed, percent):
    narrow = {"k": (30, 10), "v": (30, 10)}
    sizes = {"q": (30, 30), "o": (30, 30), "gate": (30, 50), "up": (30, 50), "down": (50, 30)} | narrow
    kinds = {kind: [Shape(kind, (i,), *size) for i in range(6)] for kind, size in sizes.items()}
    evidence = random_evidence([shape for shapes in kinds.values() for shape in shapes], seed)
    densities = {shape.name: density(evidence.energies[shape.name]) for shapes in kinds.values() for shape in shapes}
    ranks = plainly(kinds, evidence, densities, percent / 100, grouped=True)
    taken = {kind: [k - max(1, k - round(0.1 * k)) for k in ranks[kind]] for kind in ("q", "k")}
    pool = sum(taken["q"]) * 60 + sum(taken["k"]) * 40
    ranks |= {kind: [k - less for k, less in zip(ranks[kind], taken[kind], strict=True)] for kind in taken}
    wanted = [k + round(pool * (1 / 6) / 40) for k in ranks["v"]]
    ranks["v"] = [min(10, k) for k in wanted]
    if over := sum(40 * (k - kept) for k, kept in zip(wanted, ranks["v"], strict=True)):
        to_q = round(over * (60 * sum(taken["q"]) / pool))
        ranks["q"] = [min(30, k + round(to_q * (1 / 6) / 60)) for k in ranks["q"]]
        ranks["k"] = [min(10, k + round((over - to_q) * (1 / 6) / 40)) for k in ranks["k"]]
    expected = {}
    for kind, (nx, nf) in sizes.items():
        r = [densities[shape.name] for shape in kinds[kind]]
        expected[kind] = repair(list(ranks[kind]), [nx + nf] * 6, r, round(6 * nx * nf * (1 - percent / 100)), min(nx, nf))
    plan = plan_of(evidence, percent / 100, **METHODS["d-rank-released-gqa"].ranking() | {"mix": None})
    assert {kind: [group.rank for group in plan.groups if group.shape.kind == kind] for kind in kinds} == expected


def some_kinds(odd: bool) -> dict[str, list[Shape]]:
    pairs = [(0, 1), (2, 3), (4, 5), (6,)] if odd else [(0, 1), (2, 3), (4, 5), (6, 7)]
    alone = [(i,) for i in range(7 if odd else 8)]
    sizes = {"q": (30, 30), "k": (30, 30), "v": (30, 30), "gate": (30, 50), "up": (30, 50)}
    kinds = {kind: [Shape(kind, layers, *size) for layers in pairs] for kind, size in sizes.items()}
    return kinds | {kind: [Shape(kind, layers, *size) for layers in alone] for kind, size in {"o": (30, 30), "down": (50, 30)}.items()}


def density(energies) -> float:
    p = energies[energies > 0] / energies.sum()
    return float(np.exp(-(p * np.log(p)).sum()))
