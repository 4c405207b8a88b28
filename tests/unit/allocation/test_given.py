"""A plan that was given back is the plan, whatever made it; one that a person has written is read, and what cannot be is told at once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drank.allocation.allocate import allocate, refusal
from drank.allocation.allocators import ALLOCATORS
from drank.allocation.evidence import Evidence
from drank.allocation.given import KEYS, Given
from drank.allocation.plan import Plan
from drank.allocation.problem import BudgetError
from drank.models.groups import Shape
from tests.unit.allocators_fixture import AS_RELEASED, SMALL, SPENDING, models, plan_of, random_evidence

SHAPES = [Shape(role, (layer,), 40, 60) for role in "qo" for layer in range(4)]


def given_back(plan: Plan, evidence: Evidence, folder: Path, **options: Any) -> Plan:
    """The plan that allocation makes of the file of another."""
    (folder / "plan.json").write_text(plan.to_json())
    known = replace(evidence, given=Given.read(folder / "plan.json"))
    return allocate(known, plan.ratio, {"allocator": "given", **options}, model="n", method="found")


@pytest.mark.parametrize("allocator", [*SPENDING, *AS_RELEASED])
@given(shapes=models(), seed=st.integers(0, 10**6), percent=st.integers(1, 75), data=st.data())
@settings(max_examples=40)
def test_a_plan_given_back_is_that_plan(allocator, shapes, seed, percent, data, tmp_path_factory):
    """Whatever the options, storages and shapes; those of published codes where they come near enough to their budget."""
    options: dict[str, Any] = {"allocator": allocator, "storage": data.draw(st.sampled_from(["factors", "pivoted"]))}
    choices = {"scope": ["type", "model"], "floor": [0, 0.5], "cap": [None, 1.6], "rank_multiple": [1, 1, 2, 3]}
    choices |= {"dense_past_break_even": [False, True], "beta": [0.0, 0.3]}
    for name, values in choices.items():
        tried = options | {name: data.draw(st.sampled_from(values))}
        options = options if refusal(tried, {shape.kind for shape in shapes}) else tried
    evidence = random_evidence(shapes, seed)
    try:
        plan = plan_of(evidence, percent / 100, **options)
    except BudgetError:
        return
    kept = {"dense_past_break_even": ALLOCATORS[allocator].dense or options.get("dense_past_break_even", False)}
    try:
        again = given_back(plan, evidence, tmp_path_factory.mktemp("given"), storage=options["storage"], **kept)
    except ValueError as error:
        assert allocator in AS_RELEASED and re.search(r"it stores \d+ of \d+ numbers, .*, which is ratio -?0\.\d+; ", str(error))
        return
    assert sorted(again.groups, key=str) == sorted(plan.groups, key=str)
    assert (again.model, again.method, again.ratio, again.settings["allocator"]) == ("n", "found", plan.ratio, "given")
    assert again.settings["given"] == {"sha256": hashlib.sha256(plan.to_json().encode()).hexdigest(), "method": plan.method}


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Given]:
    """Reads a plan of eight groups at ratio 0.5 after its JSON was changed."""
    data = json.loads(plan_of(random_evidence(SHAPES, 0), 0.5, allocator="uniform").to_json())

    def read(change: Callable[[dict[str, Any]], Any] = lambda data: None) -> Given:
        changed = json.loads(json.dumps(data))
        change(changed)
        (tmp_path / "mine.json").write_text(json.dumps(changed))
        return Given.read(tmp_path / "mine.json")

    return read


def test_only_what_decides_the_model_has_to_be_in_it(written):
    def strip(data: dict[str, Any]) -> None:
        data["groups"] = [{key: row[key] for key in KEYS} for row in data["groups"]]
        for key in set(data) - {"groups"}:
            del data[key]

    bare = written(strip)
    assert bare.groups == written().groups and bare.ratio is None
    assert bare.ranks(SHAPES, 0.5, False) == [12] * 8


def of_row(number: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data["groups"][number].update(values)


def without(number: int, key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda data: data["groups"][number].pop(key)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.pop("groups"), r"has no list of `groups`: a plan is the JSON that a run leaves in results/plans"),
        (lambda data: data["groups"].append(3), "groups that are no keys and values: number 9"),
        (without(0, "rank"), "no rank of q.00"),
        (without(1, "dense"), "no dense of q.01"),
        (of_row(2, rank=7.5), r"rank that is not a whole number above 0: q.02: 7\.5"),
        (of_row(2, rank=True), "rank that is not a whole number above 0: q.02: True"),
        (of_row(2, rank=0), "rank that is not a whole number above 0: q.02: 0"),
        (of_row(2, rank="7"), "rank that is not a whole number above 0: q.02: '7'"),
        (of_row(3, layers=[]), r"layers that is not a list of layers: q.03: \[\]"),
        (of_row(3, dense="no"), "dense that is not true or false: q.03: 'no'"),
        (lambda data: data["groups"].append(data["groups"][0]), "q.00 stand there more than once"),
        (lambda data: data.update(ratio="half"), "its ratio 'half' is no number"),
    ],
)
def test_what_is_no_plan_is_told(written, change, words):
    with pytest.raises(ValueError, match=rf"plan .*mine\.json.*{words}"):
        written(change)


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"plan .*none\.json cannot be read \(No such file or directory\); name a file that is there"):
        Given.read(tmp_path / "none.json")
    (tmp_path / "odd.json").write_text("{")
    for path in (tmp_path / "odd.json", tmp_path):
        with pytest.raises(ValueError, match=r"cannot be read \(.*: a plan is the JSON"):
            Given.read(path)


PIVOTED = [replace(shape, storage="pivoted") for shape in SHAPES]


@pytest.mark.parametrize(
    ("change", "shapes", "dense", "words"),
    [
        (of_row(0), SHAPES[:7], False, "o.03 are no groups of this model"),
        (lambda data: data["groups"].pop(), SHAPES, False, r"no rank for o\.03 \(name a plan of this very model\)"),
        (
            of_row(0),
            [Shape(s.role, (s.layers[0], s.layers[0] + 1), 40, 60) for s in SHAPES[::2]],
            False,
            "its groups are of 1 layers, set gr",
        ),
        (of_row(0, columns=61), SHAPES, False, r"size than the model's: q\.00: layers 0 of 40 × 61, not layers 0 of 40 × 60"),
        (of_row(0), PIVOTED, True, r"q\.00, .* and 3 more stored as factors, and the method stores pivoted; set storage: factors, or"),
        (of_row(0, rank=41), SHAPES, False, r"ranks past the largest: q\.00: 41, at most 40"),
        (of_row(0, rank=40, dense=True), SHAPES, False, r"q\.00 stored dense, .* set dense_past_break_even: true"),
        (of_row(0, rank=24, dense=True), SHAPES, True, r"dense groups with another rank than their largest: q\.00: 24, not 40; set that"),
        (
            of_row(0, rank=30),
            SHAPES,
            True,
            r"the matrices: q\.00: 30; set dense_past_break_even: false, lower them, or",
        ),
        (lambda data: [row.update(storage="pivoted", rank=40) for row in data["groups"]], PIVOTED, True, r"more; lower them, or set d"),
        (lambda data: data.update(ratio=0.5000000001), SHAPES, False, r"for ratio 0\.5000000001, and ratio 0\.5 is asked for"),
        (lambda data: data.update(ratio=0.4), SHAPES, False, r"it is for ratio 0\.4, and ratio 0\.5 is asked for; .* by `\{ratio\}`"),
        (of_row(0, rank=40), SHAPES, False, r"12400 of 19200 numbers, 2800 more than ratio 0\.5 leaves, which is ratio 0\.3542; lower its"),
        (
            of_row(0, rank=1),
            SHAPES,
            False,
            r"8500 of 19200 numbers, 1100 fewer than ratio 0\.5 leaves, which is ratio 0\.5573; raise its .* says",
        ),
    ],
)
def test_what_does_not_fit_a_model_is_told(written, change, shapes, dense, words):
    with pytest.raises(ValueError, match=rf"plan .*mine\.json: .*{words}"):
        written(change).ranks(shapes, 0.5, dense)


def test_what_does_not_fit_is_told_together(written):
    def change(data: dict[str, Any]) -> None:
        data["groups"][0]["rows"], data["groups"][1]["rank"], data["ratio"] = 41, 99999, 0.3
        del data["groups"][5]

    with pytest.raises(ValueError, match=r"(?=.*ratio 0\.3)(?=.*q\.00: layers 0 of 41)(?=.*q\.01: 99999, at most)(?=.*no rank for o\.01)"):
        written(change).ranks(SHAPES, 0.5, False)


def test_options_that_say_how_ranks_are_found_are_none_of_a_given_plan():
    kinds = {"q", "k", "v", "o"}
    assert refusal({"allocator": "given", "storage": "pivoted", "dense_past_break_even": True}, kinds) is None
    said = refusal({"allocator": "given", "floor": 0.5, "scope": "model", "rank_multiple": 8, "beta": 0.1, "guard": True}, kinds) or ""
    assert "beta 0.1 moves ranks, and those of allocator given stay" in said and "set guard: false" in said
    assert "allocator given follows its given plan rank for rank, which has no scope, floor, rank_multiple; leave it out" in said


def test_without_a_plan_nothing_can_be_given():
    with pytest.raises(ValueError, match="no plan is given"):
        plan_of(random_evidence(SMALL["mha"], 0), 0.2, allocator="given")
