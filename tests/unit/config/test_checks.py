"""What is wrong with a configuration beyond its form: one error that names everything."""

from __future__ import annotations

import copy
import json

import torch
from safetensors.torch import save_file

from drank.config import check, with_defaults
from tests.unit.configurations import SCHEMA, problems


def test_a_model_that_no_method_applies_to_is_an_error(valid):
    valid["methods"] = {"wide": {"base": "basis-sharing", "group": 9}}
    valid["models"]["tiny"]["methods"] = {}
    assert problems(valid) == ["models.tiny: no method applies: wide (groups of 9 layers do not fit a model of 4)"]


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


def test_a_context_by_another_name_counts_for_models_and_for_checkpoints(valid, model, tmp_path):
    settings = json.loads((model / "config.json").read_text())
    settings["n_positions"] = settings.pop("max_position_embeddings")
    (model / "config.json").write_text(json.dumps(settings))
    valid["perplexity"]["length"] = 129
    valid["methods"]["theirs"] = {"checkpoint": {"path": str(model)}}
    found = problems(valid)
    assert "models.tiny: perplexity.length is 129, past the model's context of 128 tokens" in found
    assert any("method theirs" in line and "perplexity.length is 129, past its context of 128 tokens" in line for line in found)
