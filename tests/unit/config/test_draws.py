"""Several draws of the calibration text: which runs there are then, under which seeds, and what is measured of them."""

import pytest

from drank.config import calibration_options, gradient_options, with_defaults
from drank.config.artefacts import Runs
from tests.unit.configurations import SCHEMA


@pytest.fixture
def runs(valid):
    """What the runs of a configuration with other keys are."""
    valid["models"]["tiny"]["methods"] = {}
    valid["methods"] = {"dense": {}, "full-rank": {}, "svd": {}, "svd-llm": {}, "own": {"base": "svd-llm", "calibration": {"seed": 50}}}

    def of(**changes):
        return Runs(with_defaults({**valid, **changes}, SCHEMA))

    return of


def labels(found):
    return {label for _, label, _ in found.wanted}


TEXT = {"corpus": "mine", "length": 128}


def test_each_method_that_reads_the_text_is_drawn_anew_for_each_further_seed(runs):
    found = runs(calibration={**TEXT, "draws": 3})
    further = {"svd-llm+draw=14", "svd-llm+draw=15", "own+draw=51", "own+draw=52"}
    assert labels(found) == {"dense", "full-rank", "svd", "svd-llm", "own"} | further
    assert found.draws["tiny", "svd-llm", "0.4"] == [("tiny", "svd-llm+draw=14", "0.4"), ("tiny", "svd-llm+draw=15", "0.4")]
    assert {label: found.methods["tiny"][label].calibration["seed"] for label in further} == {
        label: int(label.rpartition("=")[2]) for label in further
    }
    first, other = (found.wanted["tiny", label, "0.2"] for label in ("svd-llm", "svd-llm+draw=14"))
    assert other == {**first, "throughput": []} and first["throughput"]
    assert found.methods["tiny"]["svd-llm+draw=14"].calibrated == "+draw=14"


def test_one_draw_is_what_there_is_without_it(runs):
    assert labels(runs(calibration={**TEXT, "draws": 1})) == labels(runs()) and runs().draws == {}


def test_variants_are_drawn_too_but_not_what_a_grid_draws_itself(runs):
    grid = {"layout": "pivot", "rows": ["method"], "columns": ["ratio"], "over": "draw", "on": "mine"}
    asked = {"method": "svd-llm", "windows": [8, 256], "draw": [13, 14], "ratio": 0.2}
    found = runs(calibration={**TEXT, "draws": 2}, artefacts={"spread": {**grid, "rows": ["windows"], "runs": asked}})
    assert labels(found) == {"svd-llm", "svd-llm+draw=14", "svd-llm+windows=8", "svd-llm+draw=14+windows=8"}
    assert set(found.draws) == {("tiny", "svd-llm", "0.2"), ("tiny", "svd-llm+windows=8", "0.2")}


def test_how_many_draws_there_are_is_no_part_of_a_text(valid):
    one, three = (with_defaults({**valid, "calibration": {**TEXT, "draws": draws}}, SCHEMA) for draws in (1, 3))
    assert calibration_options(one) == calibration_options(three)
    assert gradient_options(one, "sampled") == gradient_options(three, "sampled")
