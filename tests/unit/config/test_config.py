"""The configuration: defaults, and one error that names everything that is wrong."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import pytest
import torch
import yaml
from safetensors.torch import save_file

from drank.config import (
    ConfigError,
    calibration_options,
    check,
    finetune_options,
    gradient_options,
    methods_for,
    read_schema,
    refusals_for,
    search_options,
    with_defaults,
)
from drank.methods import METHODS

ROOT = Path(__file__).parents[3]
SCHEMA = read_schema(ROOT / "workflow" / "schemas" / "config.schema.yaml")


@pytest.fixture
def model(tmp_path) -> Path:
    """A Llama directory of 4 layers, hidden size 16, grouped keys and values, context 128; its tensors hold zeros."""
    directory = tmp_path / "tiny"
    directory.mkdir()
    sides = {"self_attn.q_proj": (16, 16), "self_attn.k_proj": (8, 16), "self_attn.v_proj": (8, 16), "self_attn.o_proj": (16, 16)}
    sides |= {"mlp.gate_proj": (40, 16), "mlp.up_proj": (40, 16), "mlp.down_proj": (16, 40)}
    save_file(
        {f"model.layers.{layer}.{path}.weight": torch.zeros(shape) for layer in range(4) for path, shape in sides.items()},
        directory / "model.safetensors",
    )
    config = {"model_type": "llama", "num_hidden_layers": 4, "max_position_embeddings": 128}
    (directory / "config.json").write_text(json.dumps(config))
    return directory


@pytest.fixture
def valid(model, tmp_path) -> dict:
    (tmp_path / "train.txt").write_text("some text")
    (tmp_path / "test.txt").write_text("other text")
    files = {"train": str(tmp_path / "train.txt"), "test": [str(tmp_path / "test.txt")]}
    return {
        "models": {"tiny": {"path": str(model), "methods": {"d-rank": {"group": 1}}}},
        "corpora": {"mine": {"files": files}, "python-docs": {"embedded": "python-docs"}},
        "tasks": {"sections": {"embedded": "docs-section"}},
        "calibration": {"corpus": "mine", "length": 128},
        "ratios": [0.2, 0.4],
        "methods": {"dense": {}, "full-rank": {}, "svd-llm": {}, "d-rank": {}, "no-beta": {"base": "d-rank", "beta": 0}},
        "perplexity": {"corpora": ["mine", "python-docs"], "length": 64},
        "zeroshot": {"tasks": ["sections"]},
        "throughput": {"prompt": 96},
    }


def problems(config: dict) -> list[str]:
    """The lines of the one error that a configuration gives."""
    with pytest.raises(ConfigError) as error:
        check(with_defaults(config, SCHEMA))
    head, *lines = str(error.value).split("\n")
    assert head.startswith(f"the configuration has {len(lines)} problem") and "config/README.md" in head
    assert all(line.startswith("  - ") for line in lines)
    return [line.removeprefix("  - ") for line in lines]


def test_a_valid_configuration_passes_and_has_every_default(valid):
    before = copy.deepcopy(valid)
    config = with_defaults(valid, SCHEMA)
    check(config)
    assert valid == before, "the caller's configuration is left alone"
    text = {"corpus": "mine", "split": "train", "windows": 256, "length": 128, "seed": 13, "batch": 8}
    assert config["calibration"] == text | {"curvature_windows": None}
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


def test_a_model_that_no_method_applies_to_is_an_error(valid):
    valid["methods"] = {"wide": {"base": "basis-sharing", "group": 9}}
    valid["models"]["tiny"]["methods"] = {}
    assert problems(valid) == ["models.tiny: no method applies: wide (groups of 9 layers do not fit a model of 4)"]


def test_searches_and_fine_tuning_read_the_calibration_text_unless_told_otherwise(valid):
    valid["calibration"]["curvature_windows"] = 4
    config = with_defaults(valid, SCHEMA)
    calibration, own = {k: v for k, v in config["calibration"].items() if k != "curvature_windows"}, {"windows": 8, "seed": 14}
    assert search_options(config) == calibration | own
    paper = {"epochs": 2, "rank": 8, "alpha": 32, "learning_rate": 1e-4, "dropout": 0}
    assert finetune_options(config) == calibration | paper
    valid["search"] = {"corpus": "python-docs", "split": "validation", "length": 32}
    valid["finetune"] = {"windows": 4, "epochs": 1}
    config = with_defaults(valid, SCHEMA)
    check(config)
    assert search_options(config) == calibration | own | valid["search"]
    assert finetune_options(config) == calibration | paper | valid["finetune"]


@pytest.mark.parametrize(("windows", "given", "read"), [(8, None, 4), (7, None, 4), (1, None, 1), (8, 8, 8), (8, 3, 3)])
def test_curvatures_are_taken_on_some_of_the_calibration_windows_and_labels_of_the_text_on_all(windows, given, read, valid):
    valid["calibration"] |= {"windows": windows, "curvature_windows": given}
    config = with_defaults(valid, SCHEMA)
    check(config)
    assert gradient_options(config, "sampled") == calibration_options(config) | {"gradient_windows": read}
    assert gradient_options(config, "text") == calibration_options(config) | {"gradient_windows": windows}


def test_curvatures_cannot_read_more_windows_than_there_are(valid):
    valid["calibration"] |= {"windows": 8, "curvature_windows": 9}
    assert problems(valid) == ["calibration.curvature_windows is 9, and calibration.windows, of which these are the first, is 8"]
    valid["calibration"]["curvature_windows"] = 0
    assert problems(valid) == ["calibration.curvature_windows: 0 is less than the minimum of 1"]


def test_everything_that_is_wrong_is_said_at_once(valid, tmp_path):
    """A user who mends what one error lists is done."""
    config = copy.deepcopy(valid)
    config["ratois"] = [0.2]
    config["ratios"] = [0.2, 1.5, 0, 0.93]
    config["calibration"] |= {"corpus": "mien", "legnth": 64, "length": 512}
    config["search"] = {"split": "validation"}
    config["methods"] |= {"svd-lm": {}, "wide": {"base": "basis-sharing", "group": 9}, "odd": {"base": "svd", "weighting": "whitenin"}}
    config["models"]["tiny"]["methods"]["drank"] = {}
    config["models"]["lost"] = {"path": str(tmp_path / "nowhere")}
    config["models"]["two"] = {"path": str(tmp_path / "tiny"), "hub": "some/model"}
    config["corpora"]["mine"]["files"]["test"].append(str(tmp_path / "gone.txt"))
    config["corpora"]["empty"] = {"field": "text"}
    config["perplexity"] |= {"corpora": ["mine", "python-dcs", "empty"], "split": "tset"}
    config["tasks"] |= {
        "here": {"harness": "arc_easy", "data": {"test": str(tmp_path / "gone.parquet")}},
        "there": {"embedded": "docs-sections"},
    }
    config["zeroshot"]["tasks"] = ["sections", "secton"]
    config["compute"] = {"device": "gpu"}
    found = problems(config)
    expected = [
        "top level: key 'ratois' is unknown (did you mean ratios?)",
        "ratios.1: 1.5 is no ratio: the share of parameters to remove, between 0 and 1",
        "ratios.2: 0 is no ratio",
        "calibration: key 'legnth' is unknown (did you mean length?)",
        "calibration.corpus: corpus 'mien' is not one of corpora (did you mean mine?): mine, python-docs, empty",
        "models.tiny: calibration.length is 512, past the model's context of 128 tokens",
        "models.tiny: method 'svd-lm' is unknown (did you mean svd-llm or ",
        "models.tiny: method odd: weighting 'whitenin' is unknown (did you mean whitening?)",
        "search.corpus: corpus 'mien' is not one of corpora (did you mean mine?): mine, python-docs, empty",
        "models.tiny: method svd-llm: ratio 0.93 leaves too little for rank 1 in every group; lower it. Too small: q: 71 parameters",
        "models.tiny: methods.drank is not one of methods (did you mean d-rank?)",
        f"models.lost: {tmp_path / 'nowhere'} holds no config.json",
        "models.two: needs exactly one of embedded, path, hub",
        f"corpora.mine.files.test: {tmp_path / 'gone.txt'} does not exist",
        "corpora.empty: needs exactly one of embedded, files, hub and splits",
        "perplexity.corpora: corpus 'python-dcs' is not one of corpora (did you mean python-docs?)",
        "perplexity.corpora: corpus 'mine' has no split 'tset', only train, test",
        f"task here: data file {tmp_path / 'gone.parquet'} does not exist",
        "task there: 'docs-sections' is not an embedded task (did you mean docs-section",
        "zeroshot.tasks: task 'secton' is not one of tasks (did you mean sections?)",
        "compute.device: 'gpu' does not match",
    ]
    for start in expected:
        assert sum(line.startswith(start) for line in found) == 1, (start, found)
    surplus = [line for line in found if not any(line.startswith(start) for start in expected)]
    assert all("ratio 0.93 leaves too little" in line or "method 'svd-lm'" in line or "weighting 'whitenin'" in line for line in surplus), (
        surplus
    )


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
        ({"ratios": []}, "ratios: [] should be non-empty"),
        ({"methods": {"d-rank": None}}, "methods.d-rank: None is not of type 'object'"),
        ({"methods": {"a b": {"base": "svd"}}}, "methods: 'a b' does not match"),
        ({"calibration": None}, "calibration: None is not of type 'object'"),
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


def test_a_missing_section_is_one_problem(valid):
    del valid["calibration"]
    assert problems(valid) == ["top level: 'calibration' is a required property"]


def test_an_unknown_family_is_told_once_and_not_again_by_every_method(valid, model):
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"model_type": "lama"}))
    (found,) = problems(valid)
    assert "model_type 'lama' is not a family drank knows (did you mean llama" in found


def test_a_model_of_pickles_is_refused(valid, model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    (found,) = problems(valid)
    assert "holds no .safetensors file" in found and "pickles are not read" in found


def test_a_damaged_model_is_a_problem_and_no_crash(valid, model):
    (model / "model.safetensors").write_bytes(b"\x05\0\0\0\0\0\0\0{ not")
    assert problems(valid)
    (model / "config.json").write_text("{")
    assert any(str(model) in line for line in problems(valid))


def test_layers_of_different_shapes_cannot_share_a_basis(valid, model):
    from safetensors.torch import load_file

    tensors = load_file(model / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"] = torch.zeros(32, 16)
    save_file(tensors, model / "model.safetensors")
    found = problems(valid)
    assert all("up: layers (0, 1) have matrices of different shapes" in line and "use group: 1" in line for line in found)
    assert {line.split(":")[1].strip() for line in found} == {"method no-beta"}


def test_a_hub_model_that_is_not_here_yet_is_no_problem(valid, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    valid["models"] = {"far": {"hub": "some-org/some-model"}}
    check(with_defaults(valid, SCHEMA))


def test_lengths_are_compared_with_the_context_of_each_model(valid):
    valid["perplexity"]["length"] = 129
    valid["throughput"] = {"prompt": 100, "generate": 29}
    assert [line.removeprefix("models.tiny: ") for line in problems(valid)] == [
        "perplexity.length is 129, past the model's context of 128 tokens",
        "throughput.prompt + generate is 129, past the model's context of 128 tokens",
    ]


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
