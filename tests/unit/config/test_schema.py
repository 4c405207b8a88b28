"""The schema: what breaks it is named with its place, it refuses unknown keys, and its defaults and the shipped files fit it."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from drank.config import with_defaults
from tests.unit.configurations import ROOT, SCHEMA, problems


def test_an_entry_that_breaks_the_schema_may_still_be_referred_to(valid):
    valid["corpora"]["mine"]["filed"] = "text"
    valid["tasks"]["sections"] = {}
    valid["methods"]["d-rank"] = {"beta": 2}
    found = problems(valid)
    assert [line.split(":")[0] for line in found] == ["corpora.mine", "methods.d-rank.beta", "tasks.sections"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ratios": [20]}, "ratios.0: 20 is no ratio: the share of parameters to remove, between 0 and 1, such as 0.2 (20 %)"),
        ({"ratios": ["0.2"]}, "ratios.0: '0.2' is no ratio"),
        ({"ratios": [0.2, 0.2]}, "ratios: [0.2, 0.2] has non-unique elements"),
        ({"ratios": []}, "ratios: empty, and svd-llm, d-rank, no-beta compress to a ratio"),
        ({"methods": {"d-rank": None}}, "methods.d-rank: None is not of type 'object'"),
        ({"methods": {"a b": {"base": "svd"}}}, "methods: 'a b' does not match"),
        ({"calibration": None}, "calibration: left out, and full-rank, svd-llm, d-rank, no-beta read it"),
        ({"calibration": {}}, "calibration: 'corpus' is a required property"),
        ({"perplexity": {"corpora": ["mine"], "length": 1}}, "perplexity.length: 1 is less than the minimum of 2"),
        ({"models": {}}, "models: {} should be non-empty"),
    ],
)
def test_what_breaks_the_schema_is_named_with_its_place(valid, change, message):
    if "methods" in change:
        valid["models"]["tiny"]["methods"] = {}
    found = problems(valid | change)
    assert [line for line in found if line.startswith(message)], found


@pytest.mark.parametrize(
    "broken",
    [
        {"ratios": [20]},
        {"ratios": ["0.2"]},
        {"calibration": {"corpus": 3}},
        {"calibration": {}},
        {"calibration": {"corpus": "mine", "x": 1}},
    ],
)
def test_what_is_broken_is_not_said_to_be_left_out(valid, broken):
    assert not [line for line in problems(valid | broken) if "left out" in line or "empty" in line]


def test_a_missing_section_is_one_problem(valid):
    del valid["methods"]
    valid["models"]["tiny"]["methods"] = {}
    assert problems(valid) == ["top level: 'methods' is a required property"]


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_configurations_fit_the_schema(path):
    with_defaults(yaml.safe_load(path.read_text("utf-8")), SCHEMA)


def test_the_schema_is_one_and_refuses_unknown_keys_everywhere():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    loose = [place for place, part in _objects(SCHEMA) if part.get("additionalProperties", True) is True and "data_files" not in place]
    assert loose == []


def _objects(part, place="top"):
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield place, part
        for key, value in part.items():
            yield from _objects(value, f"{place}.{key}")


def test_every_default_of_the_schema_is_valid():
    def parts(part, place="top"):
        if isinstance(part, dict):
            if "default" in part and not isinstance(part.get("properties", {}).get("default"), dict):
                yield place, part
            for key, value in part.items():
                yield from parts(value, f"{place}.{key}")

    found = dict(parts(SCHEMA))
    assert len(found) > 15
    for place, part in found.items():
        validator = jsonschema.Draft202012Validator({**part, "$defs": SCHEMA["$defs"]})
        assert not list(validator.iter_errors(part["default"])), place
