"""A head that is the embedding counts once, in whatever files it stands, and one that is not counts beside it: as transformers has them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from drank.models.description import describe
from drank.models.families import FAMILIES
from drank.models.groups import Group, Shape
from drank.models.inspection import inspect
from drank.models.tensors import size_of, stored_tensors
from drank.models.tied import own_head

SMALL = {"vocab_size": 30, "hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 1, "num_attention_heads": 4}
SMALL |= {"num_key_value_heads": 2, "max_position_embeddings": 64, "head_dim": 4}


@pytest.fixture
def tied(tmp_path):
    """A directory of a Llama with a tied head, and its tensors."""
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **SMALL, tie_word_embeddings=True))
    model.save_pretrained(tmp_path)
    return tmp_path, load_file(tmp_path / "model.safetensors")


def loaded_parameters(directory) -> int:
    """The parameters of the model that transformers builds, each once."""
    return sum(value.numel() for value in AutoModelForCausalLM.from_pretrained(directory).parameters())


def test_a_tied_head_that_is_stored_again_counts_once(tied):
    directory, tensors = tied
    once = size_of(directory)
    save_file(tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}, directory / "model.safetensors")
    assert size_of(directory) == once
    assert once.parameters == loaded_parameters(directory)
    assert dict(inspect(directory).facts)["parameters"] == f"{once.parameters:,}"


def test_also_where_it_lies_in_another_shard(tied):
    directory, tensors = tied
    once = size_of(directory)
    (directory / "model.safetensors").unlink()
    save_file(tensors, directory / "model-1.safetensors")
    save_file({"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}, directory / "model-2.safetensors")
    places = dict.fromkeys(tensors, "model-1.safetensors") | {"lm_head.weight": "model-2.safetensors"}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert size_of(directory) == once


def test_a_head_alone_is_the_embedding_too(tied):
    directory, tensors = tied
    once = size_of(directory).parameters
    head = {"lm_head.weight": tensors.pop("model.embed_tokens.weight")}
    save_file(tensors | head, directory / "model.safetensors")
    assert size_of(directory).parameters == once


def test_another_head_counts_beside_the_embedding_whatever_the_config_says(tied):
    directory, tensors = tied
    once, head = size_of(directory).parameters, tensors["model.embed_tokens.weight"].clone()
    head[-1, -1] += 1
    save_file(tensors | {"lm_head.weight": head}, directory / "model.safetensors")
    assert size_of(directory).parameters == once + 30 * 16 == loaded_parameters(directory)


def test_a_head_of_its_own_is_named_only_where_the_configuration_denies_it(tied):
    """Nor is another matrix of its shape the embedding, where that is not stored; of unknown families nothing is known but what is said."""
    directory, tensors = tied
    embedding = tensors["model.embed_tokens.weight"]
    config = {"model_type": "llama", "tie_word_embeddings": True}

    def found(head, config=config, **others):
        save_file(others | {"lm_head.weight": head}, directory / "model.safetensors", {"format": "pt"})
        return own_head(stored_tensors(directory), config)

    assert found(embedding + 1, **tensors) == "lm_head.weight"
    assert found(embedding + 1, config | {"model_type": "unknown"}, **tensors) == "lm_head.weight"
    assert found(embedding + 1, {"model_type": "gpt2"}, **{"wte.weight": embedding}) == "lm_head.weight"
    assert found(embedding.clone(), **tensors) is None
    assert found(embedding + 1, **{"model.layers.0.mlp.up_proj.weight": embedding}) is None
    for untied in ({"model_type": "llama"}, {"model_type": "unknown"}, config | {"tie_word_embeddings": False}):
        assert found(embedding + 1, untied, **tensors) is None
    assert own_head({}, config) is None


@pytest.mark.parametrize("said", [False, None])
def test_an_equal_head_that_is_not_tied_counts_twice(tied, said):
    """Left out, the word of a Llama is that it is not tied."""
    directory, tensors = tied
    config = json.loads((directory / "config.json").read_text())
    del config["tie_word_embeddings"]
    (directory / "config.json").write_text(json.dumps(config if said is None else config | {"tie_word_embeddings": said}))
    once = size_of(directory).parameters
    save_file(tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}, directory / "model.safetensors", {"format": "pt"})
    assert size_of(directory).parameters == once + 30 * 16 == loaded_parameters(directory)


@pytest.mark.parametrize("model_type", sorted(FAMILIES))
def test_what_a_config_leaves_out_is_as_transformers_has_it(model_type):
    assert FAMILIES[model_type].ties == bool(AutoConfig.for_model(model_type).tie_word_embeddings)


def test_in_a_compressed_model_too(tmp_path):
    embedding = torch.ones(10, 8)
    low = {"basis.weight": torch.zeros(2, 8), "coefficients.weight": torch.zeros(8, 2)}
    tensors = {f"model.layers.0.self_attn.q_proj.{name}": value for name, value in low.items()} | {"model.embed_tokens.weight": embedding}
    save_file(tensors | {"lm_head.weight": embedding.clone()}, tmp_path / "model.safetensors")
    config = {"model_type": "llama", "tie_word_embeddings": True}
    config["quantization_config"] = describe([Group(Shape("q", (0,), 8, 8), 2.0, 2)])
    (tmp_path / "config.json").write_text(json.dumps(config))
    size = size_of(tmp_path)
    assert (size.parameters, size.bytes) == (32 + 80, 4 * (32 + 80))
    assert np.isclose(size.ratio_model, 32 / (64 + 80))
