"""A plan from one call is the ranks of another: edited by hand, told by what is in it, and what it cannot be is told first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import drank
from drank.allocation.plan import Plan
from drank.command import drank as command
from drank.models.description import described
from drank.models.documents import CARD
from drank.runtime.files import file_hash
from tests.workflow.runs import write_model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and the work of a call that planned it."""
    folder = tmp_path_factory.mktemp("planned")
    write_model(folder / "tiny")
    drank.plan(folder / "tiny", "svd", 0.4, work=folder / "work", allocator="optimal", threads=1)
    return folder


def ranks(plan: Plan) -> dict[str, int]:
    return {group.shape.name: group.rank for group in plan.groups}


def test_the_plan_of_a_call_is_given_to_another_and_edited(made: Path) -> None:
    """Where it lies, a step of the former call has left what it was made of; what is in it decides all the same."""
    (given,) = (made / "work/results/plans").rglob("*.json")
    first = Plan.read(given)
    again = drank.plan(made / "tiny", "svd", 0.4, work=made / "other", allocator="given", plan=given, threads=1)
    assert again.groups == first.groups and again.settings["plan"] == "0.4.json"
    data = json.loads(given.read_text())
    low, high = data["groups"][0], data["groups"][1]
    low["rank"], high["rank"] = low["rank"] - 1, high["rank"] + 1
    given.write_text(json.dumps(data))
    edited = drank.plan(made / "tiny", "svd", 0.4, work=made / "other", allocator="given", plan=given, threads=1)
    assert ranks(edited) == ranks(first) | {low["group"]: low["rank"], high["group"]: high["rank"]}
    model = drank.compress(made / "tiny", "svd", 0.4, out=made / "out", work=made / "other", allocator="given", plan=given, threads=1)
    assert edited.settings["given"] == {"sha256": file_hash(given), "method": "svd"} != again.settings["given"]
    assert f"| `given` | sha256 {file_hash(given)}, method svd |" in (made / "out" / CARD).read_text()
    made_of = {group.shape.name: group.rank for group in described(model.config.to_dict()["quantization_config"])}
    assert made_of == ranks(edited)


def test_the_command_takes_it_too_and_says_what_is_wrong(made: Path, tmp_path: Path) -> None:
    given = ["plan", str(made / "tiny"), "--method", "svd", "--allocator", "given", "--threads", "1"]
    told = CliRunner().invoke(command, [*given, "--plan", str(tmp_path / "none.json")])
    assert told.exit_code != 0 and "none.json cannot be read" in str(told.exception)
    told = CliRunner().invoke(command, given)
    assert told.exit_code != 0 and "none is named; add its file" in str(told.exception)


def test_a_plan_is_held_against_the_folder_that_the_call_works_in(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not against the one that it is called from, where a run may have left it."""
    (left,) = (made / "work/results/plans").rglob("*.json")
    monkeypatch.chdir(made / "work")
    given = {"allocator": "given", "threads": 1}
    assert drank.plan(made / "tiny", "svd", 0.4, plan=left.relative_to(made / "work"), **given).groups == Plan.read(left).groups
    before = left.read_text()
    with pytest.raises(ValueError, match=r"lies where the results of svd for tiny at ratio 0\.4 are written, .* copy it elsewhere"):
        drank.plan(made / "tiny", "svd", 0.4, work=made / "work", plan=left, **given)
    assert left.read_text() == before


def test_what_a_call_returns_is_given_as_it_is_and_nothing_else_is_a_plan(made: Path, tmp_path: Path) -> None:
    (left,) = (made / "work/results/plans").rglob("*.json")
    plan = Plan.read(left)
    assert drank.plan(made / "tiny", "svd", 0.4, allocator="given", plan=plan, threads=1).groups == plan.groups
    for odd in (5, {"groups": []}):
        with pytest.raises(TypeError, match=r"plan=.* is no plan; name its file, or give what drank\.plan returns"):
            drank.plan(made / "tiny", "svd", 0.4, allocator="given", plan=odd, threads=1)
