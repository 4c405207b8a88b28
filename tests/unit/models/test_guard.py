"""drank.models.guard: whoever writes the config.json of a compressed model, it is sealed, and drank takes the seal off."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedConfig

from drank.models import quantizer
from drank.models.checkpoint import load_model, save
from drank.models.guard import MESSAGE, put_notice, sealed, unseal
from tests.unit.models.converted_llama import PLAN, converted


def seal_of(directory):
    return json.loads((directory / "config.json").read_text()).get("transformers_weights")


def test_the_sentence_says_what_to_do():
    assert "pip install drank" in MESSAGE and "import drank" in MESSAGE
    assert not MESSAGE.endswith((".safetensors", ".json")) and "." not in MESSAGE


def test_whatever_writes_the_configuration_seals_it(tmp_path):
    model = converted()
    save(model, None, PLAN.groups, tmp_path / "saved")
    model.save_pretrained(tmp_path / "model")
    model.config.save_pretrained(tmp_path / "config")
    copy.deepcopy(model).save_pretrained(tmp_path / "copy")
    AutoModelForCausalLM.from_pretrained(tmp_path / "saved").save_pretrained(tmp_path / "loaded")
    AutoModel.from_pretrained(tmp_path / "saved").save_pretrained(tmp_path / "base")
    AutoConfig.from_pretrained(tmp_path / "saved").save_pretrained(tmp_path / "read")
    LlamaConfig.from_dict(model.config.to_dict()).save_pretrained(tmp_path / "dictionary")
    (tmp_path / "text").mkdir()
    model.config.to_json_file(tmp_path / "text" / "config.json")
    assert {path.name: seal_of(path) for path in tmp_path.iterdir()} == dict.fromkeys(
        ("saved", "model", "config", "copy", "loaded", "base", "read", "dictionary", "text"), MESSAGE
    )


def test_a_dense_model_is_not_sealed(tmp_path):
    config = LlamaConfig(vocab_size=11, hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "dense")
    assert seal_of(tmp_path / "dense") is None
    config.quantization_config = {"quant_method": "gptq", "bits": 4}
    assert "transformers_weights" not in config.to_dict()
    assert sealed({"quantization_config": None}) == {"quantization_config": None}


def test_a_loaded_model_has_no_seal(tmp_path):
    save(converted(), None, PLAN.groups, tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    for model in (load_model(tmp_path), AutoModel.from_pretrained(tmp_path), AutoModelForCausalLM.from_pretrained(tmp_path, config=config)):
        assert "transformers_weights" not in vars(model.config)
    assert config.transformers_weights == MESSAGE, "from_pretrained works on a copy of what it is given"


def test_only_a_seal_is_taken_off():
    for name in ("other.safetensors", "other.safetensors.index.json"):
        config = PreTrainedConfig(transformers_weights=name)
        unseal(config)
        assert config.transformers_weights == name
    config = PreTrainedConfig(transformers_weights="the sentence of another version")
    unseal(config)
    unseal(config)
    assert not hasattr(config, "transformers_weights")


def test_registering_again_wraps_nothing_twice():
    before = PreTrainedConfig.to_dict
    quantizer.register()
    assert PreTrainedConfig.to_dict is before


def test_checkpoints_of_before_the_seal_and_the_notice_are_read(tmp_path):
    model = converted()
    save(model, None, PLAN.groups, tmp_path)
    config, weights = tmp_path / "config.json", tmp_path / "model.safetensors"
    config.write_text(json.dumps({name: value for name, value in json.loads(config.read_text()).items() if name != "transformers_weights"}))
    tensors = load_file(weights)
    assert tensors.pop(MESSAGE).shape == (0,)
    save_file(tensors, weights, metadata={"format": "pt"})
    tokens = torch.arange(8)[None]
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path)(tokens).logits, model(tokens).logits)
    _, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())


def test_the_notice_costs_nothing():
    model = converted()
    count = len(model.state_dict())
    put_notice(model)
    assert len(model.state_dict()) == count
    assert model.state_dict()[MESSAGE].numel() == 0
    assert MESSAGE not in dict(model.named_parameters())
    assert model.bfloat16().state_dict()[MESSAGE].dtype == torch.bfloat16


def test_transformers_too_old_is_named(tmp_path, monkeypatch):
    save(converted(), None, PLAN.groups, tmp_path)
    monkeypatch.setattr(quantizer, "OLDEST_TRANSFORMERS", "99")
    with pytest.raises(ImportError, match=r"transformers>=99 is required(.|\n)*compressed by drank"):
        AutoModelForCausalLM.from_pretrained(tmp_path)
