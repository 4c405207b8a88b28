"""Checkpoints that another quantiser packed: loaded as transformers loads them, and refused with what to install or what is wrong."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from drank.models import checkpoint
from drank.models.checkpoint import load_model
from drank.models.description import CheckpointError, quantised_by

SHAPE = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 32}


def config_of(folder, **changes):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(config))
    return config


@pytest.fixture
def packed(tmp_path):
    """A Llama whose projections are four ternary numbers to a byte, as BitNet packs them; transformers needs no package for it."""
    torch.manual_seed(0)
    folder = tmp_path / "packed"
    LlamaForCausalLM(LlamaConfig(vocab_size=11, tie_word_embeddings=False, **SHAPE)).save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if name.endswith("_proj.weight")]:
        rows, columns = tensors.pop(name).shape
        tensors[name] = torch.randint(0, 3, (rows // 4, columns)).to(torch.uint8)
        tensors[name.replace("weight", "weight_scale")] = torch.ones(1)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config_of(folder, quantization_config={"quant_method": "bitnet", "modules_to_not_convert": ["lm_head"]})
    return folder


def test_packed_weights_stay_as_they_are_stored(packed):
    stored = load_file(packed / "model.safetensors")
    state = load_model(packed, "float32").state_dict()
    assert state["model.layers.1.mlp.up_proj.weight"].dtype == torch.uint8
    assert stored.keys() == state.keys() and all(torch.equal(value, state[name]) for name, value in stored.items())


def test_what_a_quantised_checkpoint_lacks_is_an_error_and_what_it_has_besides_is_none(packed):
    tensors = load_file(packed / "model.safetensors")
    save_file(
        tensors | {"model.layers.0.mlp.up_proj.weight_shape": torch.zeros(2)}, packed / "model.safetensors", metadata={"format": "pt"}
    )
    load_model(packed)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, packed / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 tensors missing: model.layers.1.mlp.up_proj.weight"):
        load_model(packed)


def test_values_that_are_no_numbers_are_found_beside_packed_ones(packed):
    tensors = load_file(packed / "model.safetensors")
    tensors["model.norm.weight"][3] = torch.nan
    save_file(tensors, packed / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 tensors not finite: model.norm.weight"):
        load_model(packed)


@pytest.mark.parametrize(("quantiser", "package"), [("torchao", "torchao"), ("quanto", "optimum-quanto"), ("gptq", "gptqmodel")])
def test_a_quantiser_that_is_not_installed_is_named_with_its_package(packed, monkeypatch, quantiser, package):
    def missing(*args, **kwargs):
        raise ImportError("requires something else")

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", missing)
    config_of(packed, quantization_config={"quant_method": quantiser})
    with pytest.raises(CheckpointError, match=f"quantised by {quantiser}.*`pip install {package}`.*requires something else"):
        load_model(packed)
    config_of(packed, quantization_config=None)
    with pytest.raises(CheckpointError, match=r"config.json describes \(ImportError: requires something else\)"):
        checkpoint.load_model(packed)


def test_a_quantiser_is_one_of_other_people():
    assert quantised_by({}) is quantised_by({"quantization_config": None}) is quantised_by({"quantization_config": {}}) is None
    assert quantised_by({"quantization_config": {"quant_method": "drank"}}) is None
    assert quantised_by({"quantization_config": {"quant_method": "gptq"}}) == "gptq"
    assert quantised_by({"quantization_config": {"load_in_8bit": True}}) == "unnamed"
