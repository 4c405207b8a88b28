"""Somebody else's checkpoints in a configuration: for all models or for one, checked before the run, fetched, counted in the forecast."""

from __future__ import annotations

import json
import shutil

import pytest
from huggingface_hub.utils import filter_repo_objects

from drank.config import check, methods_for, ratios_of, refusals_for, with_defaults
from drank.config.chain import Chain, texts_of
from drank.config.forecast import Sizes, forecast
from drank.config.method_entries import method_of
from drank.config.paths import rooted
from drank.config.prefetch import prefetch
from drank.runtime.files import read_json, write_json
from tests.unit.configurations import SCHEMA, problems


@pytest.fixture
def theirs(model, tmp_path):
    """A copy of the model, as somebody else's checkpoint."""
    return {"checkpoint": {"path": str(shutil.copytree(model, tmp_path / "theirs"))}}


def test_a_checkpoint_is_a_method_that_compresses_nothing_and_meets_no_ratio(valid, theirs):
    valid["methods"]["theirs"] = theirs
    config = with_defaults(valid, SCHEMA)
    check(config)
    method = methods_for(config, "tiny")["theirs"]
    assert method.settings()["checkpoint"] == theirs["checkpoint"] and method.title == "theirs"
    assert not (method.compresses or method.budgeted or method.control or method.reads_calibration)
    assert ratios_of(config, method) == [0]
    chain = Chain("tiny", "theirs", method, "0", texts_of(config, method))
    assert (chain.made, chain.beside) == ("results/sources/tiny/theirs.json", {"beside": "results/sources/tiny.json"})
    assert chain.timings() == chain.compress_texts() == {}
    assert Chain("tiny", "dense", methods_for(config, "tiny")["dense"], "0", {}).beside == {}


def test_a_run_of_checkpoints_alone_needs_neither_ratios_nor_a_calibration(valid, theirs):
    del valid["calibration"], valid["ratios"]
    valid["models"]["tiny"]["methods"] = {}
    check(with_defaults(valid | {"methods": {"dense": {}, "theirs": theirs}}, SCHEMA))


def test_a_checkpoint_given_for_one_model_applies_there_only(valid, theirs, model):
    valid["models"]["other"] = {"path": str(model)}
    valid["models"]["tiny"]["methods"]["theirs"] = theirs
    valid["methods"]["theirs"] = {}
    config = with_defaults(valid, SCHEMA)
    check(config)
    assert methods_for(config, "tiny")["theirs"].checkpoint == theirs["checkpoint"]
    assert "theirs" not in methods_for(config, "other")
    assert refusals_for(config, "other") == {"theirs": "its checkpoint is given for other models only"}
    valid["methods"]["theirs"] = {"checkpoint": {"path": "elsewhere"}}
    assert methods_for(with_defaults(valid, SCHEMA), "tiny")["theirs"].checkpoint == theirs["checkpoint"], "a model's own comes first"


def test_all_that_is_wrong_is_said_at_once(valid, theirs, tmp_path):
    directory = tmp_path / "theirs"
    (directory / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 7, "max_position_embeddings": 48}))
    config = json.loads((tmp_path / "tiny/config.json").read_text())
    (tmp_path / "tiny/config.json").write_text(json.dumps(config | {"vocab_size": 9}))
    valid["methods"] |= {
        "theirs": theirs,
        "lost": {"checkpoint": {"path": str(tmp_path / "lost")}},
        "svd": theirs,
        "both": {**theirs, "base": "d-rank", "group": 2},
        "two": {"checkpoint": {"path": "a", "hub": "org/name"}},
        "pinned": {"checkpoint": {"path": "a", "revision": "main"}},
        "unknown": {},
    }
    place, found = f"method theirs: checkpoint {directory}", problems(valid)
    for expected in (
        f"models.tiny: {place}: its vocabulary has 7 entries and the dense model's 9",
        f"models.tiny: {place}: perplexity.length is 64, past its context of 48 tokens; lower perplexity.length, or leave",
        f"models.tiny: {place}: throughput.prompt + generate is 128, past its context",
        f"models.tiny: method lost: checkpoint {tmp_path / 'lost'}: there is no such folder",
        "models.tiny: method svd: the name is taken by a method of the table",
        "models.tiny: method both: a checkpoint is measured as it is, and base, group would change nothing",
        "methods.two.checkpoint: needs exactly one of path, hub, bits",
        "methods.pinned.checkpoint: 'hub' is a dependency of 'revision'",
        "models.tiny: method 'unknown' is unknown",
    ):
        assert any(line.startswith(expected) for line in found), (expected, found)
    assert not [line for line in found if "'two'" in line or "'pinned'" in line], "what the schema has said is not said again"


def test_relative_paths_of_checkpoints_start_at_the_file(tmp_path):
    given = {"checkpoint": {"path": "models/theirs"}}
    config = {"methods": {"theirs": given}, "models": {"m": {"path": "m", "methods": {"theirs": given}}}}
    found, place = rooted(config, tmp_path / "project", tmp_path / "run"), (tmp_path / "project/models/theirs").as_posix()
    assert found["methods"]["theirs"]["checkpoint"]["path"] == found["models"]["m"]["methods"]["theirs"]["checkpoint"]["path"] == place


def test_checkpoints_of_a_hub_are_fetched(valid, monkeypatch):
    fetched, there, taken = [], ["model.safetensors", "consolidated.safetensors", "consolidated-00001-of-00002.safetensors"], set()

    def fetch(name, revision, **patterns):
        fetched.append((name, revision))
        taken.update(filter_repo_objects(there, **patterns))
        return name

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    valid["methods"]["theirs"] = {"checkpoint": {"hub": "org/theirs"}}
    valid["models"]["tiny"]["methods"]["theirs"] = {"checkpoint": {"hub": "org/tiny", "revision": "v2"}}
    prefetch(with_defaults(valid | {"zeroshot": {}}, SCHEMA))
    assert fetched == [("org/theirs", None), ("org/tiny", "v2")]
    assert taken == {"model.safetensors"}, "not the same weights again"


def test_the_forecast_counts_the_parameters_of_a_checkpoint(valid, theirs, tmp_path):
    sizes = Sizes.of({"path": str(tmp_path / "tiny")})
    assert sizes.of_checkpoint(theirs["checkpoint"]) == sizes
    (tmp_path / "theirs/config.json").write_text(json.dumps({"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}))
    assert sizes.of_checkpoint(theirs["checkpoint"]) == sizes
    valid["methods"]["theirs"] = theirs
    jobs = [(number, "evaluate", {"model": "tiny", "method": label, "ratio": "0"}) for number, label in enumerate(("dense", "theirs"))]
    found = forecast(with_defaults(valid, SCHEMA), [*jobs, (2, "checkpoint", {"model": "tiny", "method": "theirs"})])
    assert found[0] == found[1] > found[2]


def test_an_entry_with_a_checkpoint_has_no_other_options():
    with pytest.raises(ValueError, match="method dense: the name is taken by a method of the table; call org/name@v1 otherwise"):
        method_of("dense", {"checkpoint": {"hub": "org/name", "revision": "v1"}})


def test_a_rounded_model_is_made_by_the_run_and_refused_where_its_blocks_do_not_fit(valid):
    valid["methods"] |= {
        "rounded-8": {},
        "rounded-4": {"checkpoint": {"bits": 4, "block": 8}},
        "three": {"checkpoint": {"bits": 3, "block": 8}},
    }
    config = with_defaults(valid, SCHEMA)
    check(config)
    assert {label: reason.partition(" (")[0] for label, reason in refusals_for(config, "tiny").items()} == {
        "rounded-8": "blocks of 32 do not divide the inputs of its projections"
    }
    methods = methods_for(config, "tiny")
    chain = Chain("tiny", "rounded-4", methods["rounded-4"], "0", {})
    assert (chain.made, chain.beside) == ("results/rounded/tiny/rounded-4", {"beside": "results/sources/tiny.json"})
    assert ratios_of(config, methods["three"]) == [0] and chain.timings() == {"round": "results/benchmarks/round/tiny/rounded-4.tsv"}
    jobs = [(0, "round", {"model": "tiny", "method": "rounded-4"}), (1, "evaluate", {"model": "tiny", "method": "rounded-4", "ratio": "0"})]
    jobs.append((2, "evaluate", {"model": "tiny", "method": "dense", "ratio": "0"}))
    seconds = forecast(config, jobs)
    assert seconds[1] == seconds[2] > seconds[0] > 0, "it computes as the dense model does"


def test_a_rounding_that_nothing_is_left_of_or_that_says_half_is_a_problem(valid, model):
    valid["methods"] = {"rounded-4": {}}
    assert any(line.startswith("models.tiny: no method applies: rounded-4 (blocks of 32 do not divide") for line in problems(valid))
    valid["methods"] = {"rounded-4": {"checkpoint": {"bits": 4}}}
    assert "methods.rounded-4.checkpoint: 'block' is a dependency of 'bits'" in problems(valid)
    write_json(model / "config.json", {**read_json(model / "config.json"), "quantization_config": {"quant_method": "gptq"}})
    valid["methods"] = {"rounded-4": {"checkpoint": {"bits": 4, "block": 8}}}
    assert any("is quantised (gptq) already" in line for line in problems(valid))
