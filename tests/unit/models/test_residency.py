"""Skeletons: what they refuse; that they compute what whole models do is a contract test."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from drank.models.description import CheckpointError
from drank.models.residency import open_skeleton, resident
from tests.unit.interrupted import small_llama


@pytest.fixture
def directory(tmp_path):
    small_llama(torch.bfloat16).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def edit(directory, change):
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def test_a_skeleton_holds_no_block_and_takes_its_dtype_from_the_model(directory):
    skeleton = open_skeleton(directory)
    assert skeleton.dtype == torch.bfloat16 and skeleton.device.type == "cpu"
    held = [name for name, parameter in skeleton.named_parameters() if not parameter.is_meta]
    assert held == ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"]
    assert open_skeleton(directory, "float32").dtype == torch.float32


def test_the_dtype_of_a_config_that_has_none_is_that_of_the_tensors(directory):
    config = json.loads((directory / "config.json").read_text())
    del config["dtype"]
    (directory / "config.json").write_text(json.dumps(config))
    assert open_skeleton(directory).dtype == torch.bfloat16


def test_weights_are_freed_even_after_an_error(directory):
    skeleton = open_skeleton(directory)
    with pytest.raises(RuntimeError, match="stop"), resident(skeleton, 1) as block:
        assert not any(parameter.is_meta for parameter in block.parameters())
        raise RuntimeError("stop")
    assert all(parameter.is_meta for parameter in block.parameters())


def test_the_blocks_of_a_whole_model_stay(directory):
    model = small_llama()
    with resident(model, 1) as block:
        before = block.self_attn.q_proj.weight
    assert model.model.layers[1].self_attn.q_proj.weight is before and not before.is_meta


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model.norm.weight"), r"lacks 1 tensors outside the blocks: model\.norm\.weight; fetch it again"),
        (lambda t: t.update({"model.extra": torch.ones(2)}), r"the model has no place for model\.extra"),
        (lambda t: t["lm_head.weight"].fill_(torch.nan), r"outside the blocks: 1 tensors are not finite: lm_head\.weight"),
        (lambda t: t.update({"lm_head.weight": torch.ones(3, 8)}), r"do not fit config\.json[\s\S]*lm_head\.weight"),
    ],
)
def test_a_damaged_frame_is_refused(change, message, directory):
    edit(directory, change)
    with pytest.raises(CheckpointError, match=message):
        open_skeleton(directory)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model.layers.1.mlp.up_proj.weight"), r"layer 1: the stored tensors do not fit[\s\S]*mlp\.up_proj\.weight"),
        (lambda t: t.update({"model.layers.1.extra": torch.ones(2)}), r"layer 1: the stored tensors do not fit[\s\S]*extra"),
        (lambda t: t["model.layers.1.mlp.up_proj.weight"].fill_(torch.inf), r"layer 1: 1 tensors are not finite: mlp\.up_proj\.weight"),
        (lambda t: t.update({"model.layers.1.mlp.up_proj.weight": torch.ones(3, 8)}), r"layer 1: the stored tensors do not fit[\s\S]*size"),
    ],
)
def test_a_damaged_block_is_refused_when_it_is_needed(change, message, directory):
    edit(directory, change)
    skeleton = open_skeleton(directory)
    with resident(skeleton, 0):
        pass
    with pytest.raises(CheckpointError, match=message), resident(skeleton, 1):
        pytest.fail("a damaged block was given out")
