"""`auto` is what the family of a model needs, section by section; a tokenizer that cannot give it is told before the work starts."""

import json

import pytest

from drank.config import calibration_options, check, finetune_options, gradient_options, read_schema, search_options, with_beginnings
from drank.config import with_defaults as filled
from drank.config.beginnings import beginning_problems
from drank.models.families import FAMILIES, needs_bos
from drank.runtime.shipped import SCHEMA
from tests.workflow.runs import write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llama without BOS, and the same said to be a Gemma, with one and without."""
    place = tmp_path_factory.mktemp("models")
    for name in ("llama", "gemma", "bare"):
        write_model(place / name)
        told = json.loads((place / name / "config.json").read_text())
        if name != "llama":
            (place / name / "config.json").write_text(json.dumps(told | {"model_type": "gemma2"}))
        if name == "gemma":
            described = json.loads((place / name / "tokenizer_config.json").read_text())
            (place / name / "tokenizer_config.json").write_text(json.dumps(described | {"bos_token": "<unk>"}))
    (place / "t.txt").write_text("the rank of a matrix " * 50)
    return place


def config_of(folder, model, **sections):
    config = {
        "models": {"m": {"path": str(folder / model)}},
        "methods": {"dense": {}},
        "corpora": {"t": {"files": {"train": str(folder / "t.txt"), "test": str(folder / "t.txt")}}},
        "calibration": {"corpus": "t", "length": 16},
        "perplexity": {"corpora": ["t"], "length": 16},
        "throughput": {"prompt": 8, "generate": 4},
    }
    return filled(config | sections, read_schema(SCHEMA))


def test_the_families_that_need_it_are_data():
    assert [name for name, family in FAMILIES.items() if family.needs_bos] == ["gemma2", "gemma3_text"]
    assert needs_bos({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}})
    assert needs_bos({"model_type": "gemma"}) and needs_bos({"text_config": {"model_type": "gemma3n_text"}}), "measured, not compressed"
    assert not needs_bos({"model_type": "llama"}) and not needs_bos({"model_type": "of tomorrow"})


def test_every_gemma_that_transformers_continues_a_text_with_needs_it():
    """But those that help another model write: they read no text of their own."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    gemmas = [name for name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if "gemma" in name and "assistant" not in name]
    assert len(gemmas) > 5 and [name for name in gemmas if not needs_bos({"model_type": name})] == []
    assert needs_bos({"model_type": "gemma3", "text_config": {"hidden_size": 64}}) and not needs_bos({"text_config": {}})


@pytest.mark.parametrize("model, own", [("llama", "text"), ("gemma", "window"), ("nowhere", "text")])
def test_auto_is_what_the_family_needs(folder, model, own):
    told = with_beginnings(config_of(folder, model), "m")
    texts = [calibration_options(told), gradient_options(told, "text"), search_options(told), finetune_options(told)]
    assert {text["bos"] for text in texts} == {own}
    assert {told[section]["bos"] for section in ("perplexity", "zeroshot", "throughput")} == {own}


def test_of_a_model_of_the_hub_that_is_not_here_yet_nobody_can_tell(folder):
    config = config_of(folder, "llama", models={"m": {"hub": "nobody/nothing"}})
    assert with_beginnings(config, "m")["perplexity"]["bos"] == "auto"
    assert with_beginnings({**config, "perplexity": {**config["perplexity"], "bos": "none"}}, "m")["perplexity"]["bos"] == "none"


def test_sections_say_otherwise_each_for_itself_and_searches_follow_the_calibration(folder):
    sections = {"calibration": {"corpus": "t", "length": 16, "bos": "none"}, "finetune": {"bos": "auto"}, "perplexity": {"bos": "text"}}
    told = with_beginnings(config_of(folder, "gemma", **sections), "m")
    assert (calibration_options(told)["bos"], search_options(told)["bos"], finetune_options(told)["bos"]) == ("none", "none", "window")
    assert (told["perplexity"]["bos"], told["throughput"]["bos"]) == ("text", "window")


def test_without_a_calibration_a_search_has_its_own(folder):
    config = config_of(folder, "gemma", calibration=None)
    assert search_options(with_beginnings(config, "m"))["bos"] == "window"


def test_a_tokenizer_without_bos_is_told_with_model_section_and_remedy(folder):
    with pytest.raises(ValueError) as error:
        check(config_of(folder, "bare"))
    lines = [line for line in str(error.value).splitlines() if ".bos" in line]
    assert [line.split(".bos")[0] for line in lines] == [f"  - models.m: {name}" for name in ("calibration", "perplexity", "throughput")]
    assert "is window (as the family of this model needs), and its tokenizer has no token that begins a text" in lines[0]
    assert "set `calibration: {bos: text}`" in lines[0]
    assert list(beginning_problems(config_of(folder, "gemma"), "m")) == []


def test_what_was_asked_for_of_a_model_that_needs_none_is_checked_too(folder):
    config = config_of(folder, "llama", perplexity={"corpora": ["t"], "length": 16, "bos": "window"})
    (line,) = beginning_problems(config, "m")
    assert line.startswith("perplexity.bos is window, and its tokenizer has no token")
    assert list(beginning_problems(config_of(folder, "llama", perplexity={"bos": "window", "corpora": []}), "m")) != []
    assert list(beginning_problems(config_of(folder, "llama"), "m")) == []


def test_another_word_is_refused_by_the_schema(folder):
    with pytest.raises(ValueError, match=r"perplexity.bos: 'each' is not one of"):
        config_of(folder, "llama", perplexity={"bos": "each"})
