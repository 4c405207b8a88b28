"""Model directories that hold something else than one whole set of floating weights are refused with what they hold and what to do."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from drank.config.checks import _stored_otherwise
from drank.models.sources import problems_of
from drank.models.theirs import faults_of

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 9\n"
NAME = "model.layers.0.self_attn.q_proj"


@pytest.fixture(autouse=True)
def no_word_of_tokenizers(monkeypatch):
    monkeypatch.setattr("drank.models.sources.tokenizer_problems", lambda directory: [])  # which these models have not


@pytest.fixture
def model(tmp_path):
    """The directory of a Llama of one matrix."""
    (directory := tmp_path / "model").mkdir()
    save_file({f"{NAME}.weight": np.zeros((4, 4), np.float32)}, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": 1}))
    return directory


def problem(directory) -> str:
    """The one line that is said of a model, and of a checkpoint beside another alike."""
    (found,) = problems_of({"path": str(directory)})
    assert str(directory) in found and "\n" not in found
    return found


def test_a_whole_model_is_sound(model):
    assert problems_of({"path": str(model)}) == _stored_otherwise({"path": str(model)}) == []


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter_beside_the_weights_is_refused(model, name):
    (model / name).write_bytes((model / "model.safetensors").read_bytes())
    assert f"an adapter ({name}) beside the weights" in problem(model) and "merge_and_unload" in problem(model)
    beside = {"path": str(shutil.copytree(model, model.parent / "dense"))}
    assert any("an adapter" in fault for fault in faults_of({"path": str(model)}, beside))


def test_an_adapter_alone_is_called_one(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "holds an adapter" in problem(tmp_path)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (POINTER.encode(), r"is a Git LFS pointer in place of the file: run `git lfs pull`"),
        (b"/annex/objects/SHA256E-s9--4d7a", "is a git-annex pointer"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page in place of the file"),
        (b'<?xml version="1.0"?><Error/>', "is a web page in place of the file"),
        (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94.", "is a pickle of torch or another archive"),
        (b"PK\x03\x04" + bytes(40), "is a pickle of torch or another archive"),
        (b"GGUF\x03\x00\x00\x00" + b"x" * 20, "is a GGUF file"),
        (b"", "is empty: fetch it again"),
        (b'{"error": "Repository not found"}', "is no safetensors file, it begins with"),
        (b"\x08\x00\x00\x00", "is truncated"),
        (b"\x08" + bytes(7) + b"nonsense", "has no safetensors header"),
    ],
)
def test_what_lies_in_place_of_weights_is_named(model, data, told):
    (model / "model.safetensors").write_bytes(data)
    assert f"model.safetensors {told}" in problem(model)


@pytest.mark.parametrize(
    ("entry", "data"),
    [
        ({"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 8]}, bytes(8)),
        ({"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}, bytes(16)),
        ({"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}, b""),
        ({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}, bytes(8)),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0]}, bytes(8)),
    ],
)
def test_a_header_at_odds_with_its_file_is_refused(model, entry, data):
    header = json.dumps({f"{NAME}.weight": entry}).encode()
    (model / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
    assert "is corrupt" in problem(model) or "has no safetensors header" in problem(model)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (POINTER, "is a Git LFS pointer"),
        ("", "is empty"),
        ('{"model_type": ', "is not valid JSON"),
        ("[]", "holds no keys and values"),
        ("\ufeff{}", "is not valid JSON"),
        ('{"model_type": "llama", "num_hidden_layers": 1', "is not valid JSON"),
    ],
)
def test_what_lies_in_place_of_a_description_is_named(model, text, told):
    (model / "config.json").write_text(text, "utf-8")
    assert f"config.json {told}" in problem(model)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"num_hidden_layers": "many"}, "does not tell the model's depth ('many' is no whole number"),
        ({"num_hidden_layers": None}, "does not tell the model's depth (the configuration has no num_hidden_layers"),
        ({"max_position_embeddings": [64]}, "does not tell the model's context"),
        ({"quantization_config": "gptq"}, "has a quantization_config that is no mapping"),
    ],
)
def test_a_description_in_a_form_that_nobody_reads_is_refused(model, said, told):
    (model / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": 1, **said}))
    assert f"config.json {told}" in problem(model)


@pytest.mark.parametrize("text", [POINTER, "{}", "[]", '{"weight_map": ["a"]}', '{"weight_map": {"a": 3}}', "{"])
def test_an_index_that_names_no_files_is_refused(model, text):
    (model / "model.safetensors").rename(model / "model-00001-of-00001.safetensors")
    (model / "model.safetensors.index.json").write_text(text)
    assert "model.safetensors.index.json does not say which files hold the weights" in problem(model)


def test_shards_that_are_missing_are_named_and_those_of_another_index_do_not_count(model):
    (model / "model.safetensors").rename(model / "model-00001-of-00002.safetensors")
    index = {"weight_map": {f"{NAME}.weight": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "missing: " in problem(model) and "model-00002-of-00002.safetensors" in problem(model)
    save_file({"b": np.zeros(1, np.float32)}, model / "model-00002-of-00002.safetensors")
    for name in ("model-00001-of-00003", "consolidated"):
        save_file({"c": np.zeros(9, np.float32)}, model / f"{name}.safetensors")
    (model / "pytorch_model.bin").write_bytes(b"\x80\x02")
    assert problems_of({"path": str(model)}) == []


def test_two_sets_of_weights_are_refused(model):
    index = {"weight_map": {f"{NAME}.weight": "model-00001-of-00001.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "two sets of weights" in problem(model)


def test_weights_under_another_name_are_named(model):
    (model / "model.safetensors").rename(model / "consolidated.safetensors")
    assert "missing: " in problem(model) and "(consolidated.safetensors there is not what transformers loads)" in problem(model)


@pytest.mark.parametrize(
    "said",
    [
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        {"compression_config": {"quant_method": "compressed-tensors"}},
        {"text_config": {"quantization_config": {"quant_method": "awq"}}},
        {"quantization_config": {"load_in_8bit": True}},
        {"quantization_config": {"quant_method": "drank", "groups": []}},
    ],
)
def test_a_model_that_says_it_is_quantised_cannot_be_compressed(model, said):
    (model / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": 1, **said}))
    (found,) = _stored_otherwise({"path": str(model)})
    assert ("compressed by drank already" in found) == ("'drank'" in str(said)) and "name the dense model" in found


@pytest.mark.parametrize(("name", "kind"), [("weight", np.int8), ("weight", np.uint8), ("qweight", np.int32), ("weight_packed", np.int32)])
def test_a_model_that_is_quantised_without_saying_so_cannot_either(model, name, kind):
    save_file({f"{NAME}.{name}": np.zeros((4, 4), kind)}, model / "model.safetensors")
    (found,) = _stored_otherwise({"path": str(model)})
    assert f"1 of its tensors show ({NAME}.{name} holds {np.dtype(kind).name[0].upper()}" in found


def test_hub_models_in_the_cache_are_looked_at_as_far_as_they_are_there(model, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot = tmp_path / "hub/models--org--name/snapshots" / ("a" * 40)
    snapshot.parent.mkdir(parents=True)
    (tmp_path / "hub/models--org--name/refs").mkdir()
    (tmp_path / "hub/models--org--name/refs/main").write_text("a" * 40)
    shutil.copytree(model, snapshot)
    hub = {"hub": "org/name"}
    assert problems_of(hub) == []
    (snapshot / "adapter_config.json").write_text("{}")
    assert "an adapter" in problems_of(hub)[0]
    (snapshot / "adapter_config.json").unlink()
    save_file({f"{NAME}.weight": np.zeros((4, 4), np.int8)}, snapshot / "model.safetensors")
    assert "quantised already" in _stored_otherwise(hub)[0]
    (snapshot / "model.safetensors").unlink()  # as an interrupted `prefetch` leaves it
    assert problems_of(hub) == []
    (snapshot / "config.json").unlink()
    assert problems_of(hub) == []


def test_what_no_hub_could_have_is_told():
    (found,) = problems_of({"hub": "no such/name at/all"})
    assert "no such/name at/all" in found
