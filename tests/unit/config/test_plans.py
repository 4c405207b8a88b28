"""Plans that a configuration gives are read and held against its models before anything is made, each at every ratio."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from drank.allocation.allocate import allocate
from drank.allocation.evidence import of_shapes
from drank.config import check, with_defaults
from drank.config.artefacts import Runs
from drank.config.chain import Chain
from drank.config.forecast import forecast
from drank.config.method_entries import method_of
from drank.config.paths import rooted
from drank.config.resolved import refusals_for
from drank.methods import METHODS
from drank.models.weights import Checkpoint
from tests.unit.configurations import ROOT, SCHEMA, problems

SVD = {"base": "svd", "allocator": "given"}


@pytest.fixture
def plan(model: Path, tmp_path: Path) -> Callable[..., str]:
    """Writes uniform ranks of the model at a ratio and gives the path."""

    def write(name: str, of: float, group: int = 1, storage: str = "factors", **changes: Any) -> str:
        settings = {"allocator": "uniform", "storage": storage}
        made = allocate(of_shapes(Checkpoint(model).shapes(group)), of, settings, model="other", method="theirs")
        (tmp_path / name).write_text(json.dumps({**json.loads(made.to_json()), **changes}))
        return str(tmp_path / name)

    return write


@pytest.fixture
def config(valid: dict[str, Any], plan: Callable[..., str]) -> dict[str, Any]:
    """A configuration of given ranks alone, at two ratios."""
    valid["models"]["tiny"].pop("methods")
    plan("0.4.json", 0.4)
    return {**valid, "methods": {"dense": {}, "found": {**SVD, "plan": plan("0.2.json", 0.2).replace("0.2", "{ratio}")}}}


def test_a_plan_for_each_ratio_is_right(config: dict[str, Any]) -> None:
    filled = with_defaults(config, SCHEMA)
    check(filled)
    chain = Chain("tiny", "found", Runs(filled).methods["tiny"]["found"], "0.4", {})
    assert chain.given["given"].endswith("/0.4.json")
    assert chain.evidence() == {"spectra": "results/spectra/tiny/identity-n1"} and chain.told() == {}
    names = {"model": "tiny", "method": "found", "ratio": "0.4"}
    assert forecast(filled, [(1, "allocate", names), (2, "compress", names)])[1] > 0
    assert Chain("tiny", "svd", method_of("svd", {}), "0.4", {}).given == {}


def test_what_is_wrong_with_plans_is_told_together(config: dict[str, Any], plan: Callable[..., str], tmp_path: Path) -> None:
    config["methods"] |= {
        "one": {**SVD, "plan": plan("one.json", 0.2)},
        "absent": {**SVD, "plan": str(tmp_path / "none-{ratio}.json")},
        "grouped": {**SVD, "plan": plan("grouped.json", 0.2, group=2, ratio=None)},
        "stored": {**SVD, "plan": plan("stored.json", 0.2, storage="pivoted", ratio=None)},
        "hidden": {"base": "svd", "allocator": "given"},
    }
    found = problems(config)
    expected = [
        "method hidden: allocator given has the ranks of a plan, and none is named; add its file, plan: PATH",
        f"method one: plan {tmp_path}/one.json: it says that it is for ratio 0.2, and ratio 0.4 is asked for; ask for its own, or name",
        f"method absent: plan {tmp_path}/none-0.2.json cannot be read (No such file or directory); name a file",
        f"method absent: plan {tmp_path}/none-0.4.json cannot be read",
        f"method grouped: plan {tmp_path}/grouped.json: no rank for q.00, q.01, q.02, q.03, k.00 and 15 more (its groups are of 2 lay",
        f"method stored: plan {tmp_path}/stored.json: q.00, q.01, q.02, q.03, k.00 and 23 more stored as pivoted, and the method stores f",
    ]
    assert len(found) == len(expected)
    assert all(sum(line.startswith(f"models.tiny: {start}") for line in found) == 1 for start in expected), found


def test_the_budget_of_a_ratio_is_held_against_the_plan(config: dict[str, Any], plan: Callable[..., str]) -> None:
    config["methods"]["found"] |= {"plan": plan("any.json", 0.3, ratio=None)}
    above, below = problems({**config, "ratios": [0.6]}) + problems({**config, "ratios": [0.1]})
    assert "more than ratio 0.6 leaves, which is ratio 0.3" in above and "lower its ranks, or ask for ratio 0.3" in above
    assert "fewer than ratio 0.1 leaves, which is ratio 0.3" in below and "raise its ranks" in below


def test_the_example_of_the_guide_fits(valid: dict[str, Any], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the plans of the method that its path names."""
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "config/README.md").read_text("utf-8").partition("### Ranks of your own")[2]
    example = yaml.safe_load(guide.partition("```yaml\n")[2].partition("```")[0])
    valid["models"]["tiny"].pop("methods")
    path = Path(example["methods"]["found"]["plan"])
    path.parent.mkdir(parents=True)
    theirs = METHODS[path.parent.name]
    for ratio in valid["ratios"]:
        made = allocate(of_shapes(Checkpoint(model).shapes(theirs.group)), ratio, theirs.settings(), model="other", method="theirs")
        Path(str(path).format(ratio=ratio)).write_text(made.to_json())
    check(with_defaults({**valid, **example}, SCHEMA), tmp_path)


@pytest.mark.parametrize("where", ["found/{ratio}", "svd/{ratio}", "svd/0.2"])
@pytest.mark.parametrize("linked", [False, True])
def test_a_plan_that_the_run_would_write_over_is_refused(
    config: dict[str, Any], plan: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, linked: bool
) -> None:
    """Whatever method's place it is and however it is named: by a configuration in a folder of its own, by links."""
    monkeypatch.chdir(tmp_path)
    config["methods"] = {"svd": {}, "found": {**SVD, "plan": f"../results/plans/tiny/{where}.json"}}
    if linked:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "results").symlink_to("elsewhere")
    for label in ("svd", "found"):
        (tmp_path / f"results/plans/tiny/{label}").mkdir(parents=True)
        plan(f"results/plans/tiny/{label}/0.2.json", 0.2)
    lines = problems({**rooted(config, tmp_path / "config", tmp_path), "ratios": [0.2]}, tmp_path)
    label = where.partition("/")[0]
    told = f"lies where the results of {label} for tiny at ratio 0.2 are written, and would be lost; copy it elsewhere, and name the copy"
    given = f"config/../results/plans/tiny/{label}/0.2.json"
    assert lines == [f"models.tiny: method found: plan {given} {told}"]


def test_a_plan_in_the_folder_of_a_model_that_is_made_anew_is_refused_and_no_other(
    config: dict[str, Any], plan: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a method that is no longer in the configuration nothing is written."""
    monkeypatch.chdir(tmp_path)
    config |= {"ratios": [0.2], "methods": {"svd": {}, "found": {**SVD, "plan": "results/models/tiny/svd/0.2/plan.json"}}}
    for folder in ("results/models/tiny/svd/0.2", "results/plans/tiny/other"):
        (tmp_path / folder).mkdir(parents=True)
    plan("results/models/tiny/svd/0.2/plan.json", 0.2)
    (line,) = problems(config, tmp_path)
    assert "lies where the results of svd" in line
    config["methods"]["found"]["plan"] = plan("results/plans/tiny/other/0.2.json", 0.2)
    check(with_defaults(config, SCHEMA), tmp_path)


def test_plans_are_demanded_of_runs_that_are_asked_for_alone(config: dict[str, Any], plan: Callable[..., str], tmp_path: Path) -> None:
    """Not for ratios at which no artefact shows the method."""
    config["methods"] |= {"svd": {}, "one": {**SVD, "plan": plan("one.json", 0.2)}}
    grids = [{"method": "svd"}, {"method": "one", "ratio": 0.2}]
    check(with_defaults({**config, "artefacts": {"a": {"layout": "quality", "runs": grids}}}, SCHEMA), tmp_path)
    (line,) = problems({**config, "artefacts": {"a": {"layout": "quality", "runs": {"method": "one"}}}})
    assert "for ratio 0.2, and ratio 0.4 is asked for" in line


def test_a_method_whose_plan_another_model_names_is_none_of_a_model_that_names_none(config: dict[str, Any], model: Path) -> None:
    own = config["methods"]["found"].pop("plan")
    config["models"] = {"tiny": {"path": str(model), "methods": {"found": {"plan": own}}}, "other": {"path": str(model)}}
    filled = with_defaults(config, SCHEMA)
    check(filled)
    assert refusals_for(filled, "other") == {"found": "its plan is given for other models only"} and refusals_for(filled, "tiny") == {}
    assert {cell[0] for cell in Runs(filled).wanted if cell[1] == "found"} == {"tiny"}
    (line,) = dict.fromkeys(line.partition(": ")[2] for line in problems({**config, "models": {"other": {"path": str(model)}}}))
    assert "none is named; add its file" in line


def test_of_a_plan_that_is_no_text_the_schema_tells_alone(config: dict[str, Any]) -> None:
    config["methods"]["found"]["plan"] = 5
    (line,) = problems(config)
    assert line.startswith("methods.found.plan")


def test_a_fault_is_told_once_for_all_draws(config: dict[str, Any], tmp_path: Path) -> None:
    config["methods"]["found"] = {**SVD, "base": "svd-llm", "plan": str(tmp_path / "none.json")}
    (line,) = problems({**config, "calibration": {**config["calibration"], "draws": 3}})
    assert "models.tiny: method found: plan" in line and "cannot be read" in line


def test_a_plan_is_looked_at_where_its_model_is_not_here_yet(config: dict[str, Any]) -> None:
    config["models"] = {"far": {"hub": "nobody/nothing"}}
    config["methods"]["absent"] = {**SVD, "plan": "none.json"}
    (line,) = problems(config)
    assert line.startswith("models.far: method absent: plan none.json cannot be read") and "relative paths start at the folder" in line


def test_a_model_may_have_a_plan_of_its_own(config: dict[str, Any]) -> None:
    own = config["methods"]["found"].pop("plan")
    config["models"]["tiny"]["methods"] = {"found": {"plan": own}}
    check(with_defaults(config, SCHEMA))


def test_braces_that_stand_for_nothing_are_told(config: dict[str, Any], plan: Callable[..., str], tmp_path: Path) -> None:
    config["methods"]["found"]["plan"] = plan("{model}.json", 0.2)
    with pytest.raises(ValueError, match=r"method found: '.*\{model\}\.json' has a brace in its path"):
        check(with_defaults({**config, "ratios": [0.2]}, SCHEMA), tmp_path)


def test_variants_are_held_against_the_plan_too(config: dict[str, Any]) -> None:
    """Another group is another plan; no axis is a plan itself, which is no part of a name."""
    grid = {"method": "found", "group": [1, 2], "ratio": 0.2}
    (line,) = problems({**config, "artefacts": {"a": {"layout": "quality", "runs": grid}}})
    assert line.startswith("models.tiny: method found+group=2: plan") and "set group: 1" in line
    (other,) = problems({**config, "artefacts": {"a": {"layout": "quality", "runs": {"method": "found", "ratio": 0.3}}}})
    assert "method found: plan" in other and "0.3.json cannot be read" in other
    (key,) = problems({**config, "artefacts": {"a": {"layout": "quality", "runs": {"method": "found", "plan": "x.json"}}}})
    assert "key 'plan' is unknown" in key
