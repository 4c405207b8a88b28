"""Too little calibration text for the width of a model is told with the model, the amount, the width and the methods."""

from drank.config import with_defaults
from drank.config.amounts import little_text
from drank.config.artefacts import Runs
from tests.unit.configurations import SCHEMA


def told(config):
    filled = with_defaults(config, SCHEMA)
    return list(little_text(filled, Runs(filled)))


def test_fewer_than_forty_tokens_a_channel_of_the_widest_input(valid):
    valid["calibration"] = {"corpus": "mine", "length": 10, "windows": 160}
    assert told(valid) == [], "40 for each of the 40 channels of down"
    valid["calibration"]["windows"] = 159
    (line,) = told(valid)
    assert line.startswith("tiny: 159 windows of 10 tokens to calibrate on are 39.8 tokens for each of the 40 channels of its widest input")
    assert "svd-llm, d-rank, no-beta may fit that text" in line and "full-rank" not in line and line.endswith("160 windows are enough")


def test_each_amount_that_a_grid_asks_for_is_told_apart(valid):
    runs = {"method": "svd-llm", "windows": [8, 40, 400], "ratio": 0.2}
    valid["calibration"] = {"corpus": "mine", "length": 10, "windows": 400}
    valid["artefacts"] = {"amounts": {"layout": "perplexity_by_axis", "axis": "windows", "runs": runs}}
    assert [line.split(" ")[1] for line in told(valid)] == ["8", "40"]


def test_a_model_that_is_not_here_is_told_of_later(valid, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    valid["calibration"] = {"corpus": "mine", "length": 10, "windows": 1}
    valid["models"] = {"far": {"hub": "some-org/some-model"}}
    assert told(valid) == []


def test_who_reads_no_text_has_enough(valid):
    valid["calibration"] = {"corpus": "mine", "length": 10, "windows": 1}
    valid["methods"] = {"dense": {}, "svd": {}}
    valid["models"]["tiny"]["methods"] = {}
    assert told(valid) == []
