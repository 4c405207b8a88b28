"""What a configuration asks of a shape that nothing random can answer is refused, all of it together; how fast it is may be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drank.config import check, methods_for, refusals_for, with_beginnings, with_defaults
from drank.config.artefacts import Runs
from drank.config.chain import Chain, texts_of
from drank.config.disk import written
from drank.config.method_entries import method_of
from drank.config.shapes import refusal
from drank.models import made_once
from tests.contract.conftest import CONFIGS
from tests.unit.configurations import SCHEMA, problems

SHAPE = {"model_type": "llama", **CONFIGS["llama"]}


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        made_once.failure.cache_clear()
        yield


def checked(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration with its defaults, in which nothing is wrong."""
    filled = with_defaults(config, SCHEMA)
    check(filled)
    return filled


@pytest.fixture
def timed() -> dict[str, Any]:
    """A configuration that times a shape."""
    methods = {"dense": {}, "svd": {}, "pivoted": {"base": "svd", "storage": "pivoted", "rank_multiple": 2, "group": 2}}
    throughput = {"batch": 1, "prompt": 8, "generate": 2}
    return {"models": {"it": {"shape": SHAPE}}, "ratios": [0.4], "methods": methods, "throughput": throughput}


def test_what_follows_from_the_shape_alone_may_be_asked(timed: dict[str, Any]) -> None:
    config = checked(timed)
    assert list(methods_for(config, "it")) == ["dense", "svd", "pivoted"] and refusals_for(config, "it") == {}


def test_whatever_else_is_asked_is_told_together(timed: dict[str, Any], valid: dict[str, Any]) -> None:
    timed |= {key: valid[key] for key in ("corpora", "tasks", "calibration", "perplexity", "zeroshot")}
    timed["calibration"]["length"] = 64
    timed["methods"] |= {
        "full-rank": {},
        "l-rank": {},
        "tuned": {"base": "svd", "finetune_from": 0.2},
        "refitted": {"base": "svd", "refit_from": 0},
        "rounded-8": {"checkpoint": {"bits": 8, "block": 8}},
    }
    timed["throughput"]["bos"] = "window"
    found = problems(timed)
    expected = [
        "models.it: perplexity.corpora asks what it predicts (mine, python-docs), and it is a shape, whose weights are drawn at random",
        "models.it: zeroshot.tasks asks what it predicts (sections)",
        "models.it: throughput.bos is window, and a shape has no tokenizer",
        "models.it: method full-rank: weighting whitening, allocator full would read weights or text",
        "models.it: method l-rank: weighting kronecker-fisher, allocator optimal, refit_from 0, corrections 4 would read",
        "models.it: method tuned: finetune_from 0.2 would read",
        "models.it: method refitted: refit_from 0 would read",
        "models.it: method rounded-8: a checkpoint stands beside weights",
    ]
    assert len(found) == len(expected) and all(sum(line.startswith(start) for line in found) == 1 for start in expected), found
    assert all("leave" in line or "take `svd`" in line for line in found)


def test_variants_that_an_artefact_asks_for_are_refused_too(timed: dict[str, Any]) -> None:
    timed["artefacts"] = {"speed": {"layout": "throughput", "runs": {"method": "svd", "storage": ["factors", "pivoted"]}}}
    checked(timed)
    timed["artefacts"]["speed"]["runs"]["allocator"] = ["uniform", "optimal"]
    assert any("allocator optimal would read weights or text" in line for line in problems(timed))


def test_there_are_no_effective_ranks_to_show(timed: dict[str, Any]) -> None:
    assert "effective_rank" not in Runs(checked(timed)).artefacts, "where artefacts are the usual ones they are left out"
    timed["artefacts"] = {"ranks": {"layout": "effective_rank"}}
    assert any(line.startswith("artefacts.ranks: it shows effective ranks, and its models are shapes") for line in problems(timed))


def test_no_step_of_its_way_decomposes(timed: dict[str, Any]) -> None:
    config = checked(timed)
    method = methods_for(config, "it")["svd"]
    chain = Chain("it", "svd", method, "0.4", texts_of(config, method), shape=True)
    assert chain.evidence() == {"source": "results/sources/it.json"} and set(chain.timings()) == {"allocate", "compress"}
    names = {"model": "it", "method": "svd", "ratio": "0.4"}
    assert written(config, [(1, "compress_shape", names)], Runs(config).methods)[0] > 0


def test_a_family_that_needs_bos_gets_none_where_nothing_is_read(timed: dict[str, Any]) -> None:
    timed["models"]["it"]["shape"] = {"model_type": "gemma2", **CONFIGS["gemma2"]}
    assert with_beginnings(checked(timed), "it")["throughput"]["bos"] == "text"


def test_what_is_no_shape_is_told_with_its_model(timed: dict[str, Any], tmp_path: Path) -> None:
    timed["models"]["it"]["shape"] = str(tmp_path / "nowhere.json")
    (problem,) = problems(timed)
    assert problem.startswith(f"models.it: {tmp_path / 'nowhere.json'} cannot be read")


@pytest.mark.parametrize("options", [{}, {"storage": "pivoted"}, {"rank_multiple": 64}, {"group": 2}, {"beta": 0.2}, {"floor": 0.5}])
def test_uniform_ranks_in_every_form_can_be_drawn(options: dict[str, Any]) -> None:
    assert refusal(method_of("mine", {"base": "svd", **options})) is None


def test_numbers_and_truth_values_of_a_shape_are_read_as_they_look(timed: dict[str, Any]) -> None:
    written = {"hidden_size": "2_048", "rms_norm_eps": "1e-5", "tie_word_embeddings": "no", "pad_token_id": "null", "hidden_act": "silu"}
    timed["models"]["it"]["shape"] = {"model_type": "llama", **written, "rope_parameters": {"rope_theta": "10000", "kinds": ["a", "2"]}}
    assert with_defaults(timed, SCHEMA)["models"]["it"]["shape"] == {
        "model_type": "llama",
        "hidden_size": 2048,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "pad_token_id": None,
        "hidden_act": "silu",
        "rope_parameters": {"rope_theta": 10000, "kinds": ["a", 2]},
    }


def test_ranks_of_a_shape_may_be_given() -> None:
    given = {"base": "svd", "allocator": "given", "plan": "mine.json"}
    assert refusal(method_of("mine", given)) is None and refusal(method_of("mine", {**given, "storage": "pivoted"})) is None
    assert "weighting whitening would read" in (refusal(method_of("mine", {**given, "base": "svd-llm"})) or "")
    assert "allocator optimal would read" in (refusal(method_of("mine", {"base": "svd", "allocator": "optimal"})) or "")
