"""A valid configuration: its defaults, and the methods and texts that it means."""

from __future__ import annotations

import copy

import pytest

from drank.config import (
    calibration_options,
    check,
    finetune_options,
    gradient_options,
    methods_for,
    refusals_for,
    search_options,
    shards_of,
    with_defaults,
)
from drank.methods import METHODS
from tests.unit.configurations import SCHEMA


def test_a_valid_configuration_passes_and_has_every_default(valid):
    before = copy.deepcopy(valid)
    config = with_defaults(valid, SCHEMA)
    check(config)
    assert valid == before, "the caller's configuration is left alone"
    text = {"corpus": "mine", "split": "train", "windows": 256, "length": 128, "seed": 13, "batch": 8, "bos": "auto"}
    assert config["calibration"] == text | {"curvature_windows": None, "draws": 1}
    assert calibration_options(config) == text and gradient_options(config, "text") == text | {"gradient_windows": 256}
    assert config["perplexity"]["split"] == "test" and config["perplexity"]["windows"] is None
    assert config["throughput"]["prompt"] == 96 and config["throughput"]["generate"] == 32
    assert config["models"]["tiny"]["methods"]["d-rank"]
    assert config["zeroshot"]["limit"] is None
    assert config["compute"]["device"] == "auto"
    assert with_defaults(config, SCHEMA) == config


def test_methods_apply_to_a_model_with_its_overrides(valid):
    config = with_defaults(valid, SCHEMA)
    methods = methods_for(config, "tiny")
    assert list(methods) == list(valid["methods"])
    assert methods["d-rank"].group == 1 and methods["d-rank"].beta == 0.3
    assert methods["no-beta"].group == 2 and methods["no-beta"].beta == 0
    assert methods["svd-llm"] == METHODS["svd-llm"]


def test_a_method_that_cannot_apply_is_left_out_with_its_reason_and_is_no_error(valid):
    valid["methods"] |= {"wide": {"base": "basis-sharing", "group": 9}}
    config = with_defaults(valid, SCHEMA)
    check(config)
    assert refusals_for(config, "tiny") == {"wide": "groups of 9 layers do not fit a model of 4"}
    assert list(methods_for(config, "tiny")) == [label for label in valid["methods"] if label != "wide"]


def test_searches_and_fine_tuning_read_the_calibration_text_unless_told_otherwise(valid):
    valid["calibration"]["curvature_windows"] = 4
    config = with_defaults(valid, SCHEMA)
    calibration, own = (
        {k: v for k, v in config["calibration"].items() if k not in ("curvature_windows", "draws")},
        {"windows": 8, "seed": 14},
    )
    assert search_options(config) == calibration | own
    paper = {"epochs": 2, "rank": 8, "alpha": 32, "learning_rate": 1e-4, "dropout": 0}
    assert finetune_options(config) == calibration | paper
    valid["search"] = {"corpus": "python-docs", "split": "validation", "length": 32}
    valid["finetune"] = {"windows": 4, "epochs": 1}
    config = with_defaults(valid, SCHEMA)
    check(config)
    assert search_options(config) == calibration | own | valid["search"]
    assert finetune_options(config) == calibration | paper | valid["finetune"]


def test_a_search_never_reads_the_windows_of_the_calibration(valid):
    config = with_defaults(valid, SCHEMA)
    seeds = {seed: search_options(config, {"seed": seed})["seed"] for seed in (13, 14, 15)}
    assert seeds == {13: 14, 14: 15, 15: 14}
    config["search"] |= {"length": 32}
    assert search_options(config, {"seed": 14})["seed"] == 14, "windows of another length are others"


@pytest.mark.parametrize(("windows", "given", "read"), [(8, None, 4), (7, None, 4), (1, None, 1), (8, 8, 8), (8, 3, 3)])
def test_curvatures_are_taken_on_some_of_the_calibration_windows_and_labels_of_the_text_on_all(windows, given, read, valid):
    valid["calibration"] |= {"windows": windows, "curvature_windows": given}
    config = with_defaults(valid, SCHEMA)
    check(config)
    assert gradient_options(config, "sampled") == calibration_options(config) | {"gradient_windows": read}
    assert gradient_options(config, "text") == calibration_options(config) | {"gradient_windows": windows}


def test_a_step_is_divided_into_no_more_jobs_than_it_has_batches(valid):
    def divided(shards, **calibration):
        return shards_of(with_defaults(valid | {"compute": {"shards": shards}, "calibration": {"corpus": "mine", **calibration}}, SCHEMA))

    assert shards_of(with_defaults(valid, SCHEMA)) == {"calibrate": 1, "gradients": 1, "evaluate": 1}
    assert divided(4, windows=256, batch=8) == {"calibrate": 4, "gradients": 4, "evaluate": 4}
    assert divided(4, windows=9, batch=4) == {"calibrate": 3, "gradients": 2, "evaluate": 4}, "sampled labels are drawn for half"
    assert divided(4, windows=9, batch=4, curvature_windows=1) == {"calibrate": 3, "gradients": 1, "evaluate": 4}
    nothing = {key: value for key, value in valid.items() if key != "calibration"} | {"compute": {"shards": 4}}
    assert shards_of(with_defaults(nothing, SCHEMA)) == {"calibrate": 1, "gradients": 1, "evaluate": 4}
