"""The schema: what breaks it is named with its place, it refuses unknown keys, and its defaults and the shipped files fit it."""

from __future__ import annotations

import copy
from contextlib import suppress

import jsonschema
import pytest
import yaml

from drank.config import ConfigError, check, read_config, with_defaults
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
        ({"ratios": ["a fifth"]}, "ratios.0: 'a fifth' is no ratio"),
        ({"ratios": [float("nan")]}, "ratios.0: 'nan' is no ratio"),
        ({"finetune": {"alpha": float("inf")}}, "finetune.alpha: 'inf' is no number"),
        ({"finetune": {"alpha": ".inf"}}, "finetune.alpha: '.inf' is no number"),
        ({"finetune": {"alpha": "1e999"}}, "finetune.alpha: '1e999' is no number"),
        ({"finetune": {"epochs": "010"}}, "finetune.epochs: '010' is no integer; write it in decimal digits without a leading zero"),
        ({"finetune": {"epochs": "1:30"}}, "finetune.epochs: '1:30' is no integer"),
        ({"finetune": {"epochs": "1.5"}}, "finetune.epochs: 1.5 is not of type 'integer'"),
        ({"finetune": {"epochs": True}}, "finetune.epochs: True is not of type 'integer'"),
        ({"throughput": {"variants": ["fused"]}}, "throughput.variants: ['fused'] lacks 'plain', beside which all others stand; add it"),
        ({"ratios": [0.2, 0.2]}, "ratios: [0.2, 0.2] has non-unique elements"),
        ({"ratios": []}, "ratios: empty, and svd-llm, d-rank, no-beta compress to a ratio"),
        ({"methods": {"d-rank": None}}, "methods.d-rank: None is not of type 'object'"),
        ({"methods": {"a b": {"base": "svd"}}}, "methods: 'a b' does not match"),
        ({"methods": {"svd\n": {"base": "svd"}}}, "methods: 'svd\\n' does not match"),
        ({"methods": {"s" * 101: {"base": "svd"}}}, f"methods: {'s' * 101!r} is too long"),
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
        {"ratios": ["a fifth"]},
        {"calibration": {"corpus": 3}},
        {"calibration": {}},
        {"calibration": {"corpus": "mine", "x": 1}},
    ],
)
def test_what_is_broken_is_not_said_to_be_left_out(valid, broken):
    assert not [line for line in problems(valid | broken) if "left out" in line or "empty" in line]


def test_texts_are_what_the_schema_takes_in_their_place(valid):
    """What YAML 1.1 and `--config` of Snakemake give as text, such as 1e-4 and all in brackets."""
    valid["methods"]["d-rank"] = {"dense_past_break_even": "on", "refit_from": "null", "normalise": "False", "cap": "2"}
    valid["corpora"]["mine"]["files"] = {"2": "a", "no": "b", "010": "c"}
    valid["finetune"] = {"learning_rate": "1e-4", "windows": "1_000", "length": 1e3, "split": "2"}
    found = with_defaults(valid | {"ratios": ["0.2", ".4"], "throughput": "", "zeroshot": ""}, SCHEMA)
    assert found["ratios"] == [0.2, 0.4] and "throughput" not in found and found["zeroshot"]["tasks"] == []
    assert found["methods"]["d-rank"] == {"dense_past_break_even": True, "refit_from": None, "normalise": False, "cap": 2}
    assert {key: found["finetune"][key] for key in valid["finetune"]} == {
        "learning_rate": 0.0001,
        "windows": 1000,
        "length": 1000,
        "split": "2",
    }
    assert type(found["finetune"]["length"]) is int
    assert list(found["corpora"]["mine"]["files"]) == ["2", "no", "010"]


def test_keys_that_are_no_texts_are_named_as_they_read(valid):
    valid["corpora"]["mine"]["files"] = {2: "a", True: "b"}
    assert list(with_defaults(valid, SCHEMA)["corpora"]["mine"]["files"]) == ["2", "True"]


def test_a_missing_section_is_one_problem(valid):
    del valid["methods"]
    valid["models"]["tiny"]["methods"] = {}
    assert problems(valid) == ["top level: 'methods' is a required property"]


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_configurations_fit_the_schema(path):
    assert with_defaults(read_config(path), SCHEMA) == with_defaults(yaml.safe_load(path.read_text("utf-8")), SCHEMA)


def test_the_schema_is_one_and_refuses_unknown_keys_everywhere():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    loose = [place for place, part in _objects(SCHEMA) if part.get("additionalProperties", True) is True and "data_files" not in place]
    assert loose == []


ODD = [None, "", "~", "2", "on", [], {}, ["a"], {"x": 1}, {2: 1}, True, 1.5, -1, float("nan"), "a\nb", [[]]]


def _places(part, place=()):
    """The place of everything in a configuration."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        yield (*place, key)
        yield from _places(value, (*place, key))


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_whatever_stands_in_any_place_is_taken_or_refused_in_words(valid, odd):
    for *parents, last in list(_places(valid)):
        config = copy.deepcopy(valid)
        node = config
        for key in parents:
            node = node[key]
        node[last] = odd
        with suppress(ConfigError):
            check(with_defaults(config, SCHEMA))


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


def test_variants_of_the_throughput_are_those_that_models_run_in():
    from drank.models.execution.optimize import VARIANTS

    assert tuple(SCHEMA["properties"]["throughput"]["properties"]["variants"]["items"]["enum"]) == VARIANTS
