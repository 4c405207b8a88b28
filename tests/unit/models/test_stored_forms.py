"""Checkpoints of both storages: old ones load, corrupt pivots are refused, and a pivoted model compiles in one graph."""

from __future__ import annotations

import json
import pickle  # noqa: TID251 - what users do
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForQuestionAnswering, AutoModelForTokenClassification, LlamaForCausalLM

from drank.models.checkpoint import load_model, save
from drank.models.conversion import convert, store
from drank.models.description import CheckpointError
from drank.models.groups import Group, Shape
from tests.unit.models.converted_llama import PLAN, converted

IDS = torch.tensor([[1, 4, 2, 7, 3]])
PIVOTS = "model.layers.0.self_attn.q_proj.pivots"


def pivoted() -> tuple[LlamaForCausalLM, tuple[Group, ...]]:
    model = converted()
    groups = tuple(replace(group, shape=replace(group.shape, storage="pivoted")) for group in PLAN.groups)
    store(model, groups, {})
    return model, groups


def test_a_checkpoint_of_the_first_format_loads(tmp_path):
    """It says nothing of storage; all its low-rank groups are two factors."""
    model = converted()
    save(model, None, PLAN.groups, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    config["quantization_config"]["format"] = 1
    for group in config["quantization_config"]["groups"]:
        del group["storage"]
    path.write_text(json.dumps(config))
    assert torch.equal(load_model(tmp_path / "model")(IDS).logits, model(IDS).logits)


@pytest.mark.parametrize("values", [[0, 1, 1], [0, 1, 8], [-1, 0, 1]])
def test_pivots_that_are_none_are_refused(values, tmp_path):
    model, groups = pivoted()
    save(model, None, groups, tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    assert tensors[PIVOTS].dtype == torch.int32
    save_file(tensors | {PIVOTS: torch.tensor(values, dtype=torch.int32)}, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="8 inputs are not 3 different ones"):
        load_model(tmp_path / "model")


def test_an_unknown_storage_is_refused(tmp_path):
    model, groups = pivoted()
    save(model, None, groups, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(path.read_text().replace('"pivoted"', '"folded"'))
    with pytest.raises(CheckpointError, match="folded"):
        load_model(tmp_path / "model")


def test_a_head_that_has_the_decoder_elsewhere_than_the_files_is_refused(tmp_path):
    model, groups = pivoted()
    save(model, None, groups, tmp_path / "model")
    with pytest.raises(
        CheckpointError, match=r"LlamaForQuestionAnswering has its decoder under 'transformer', not 'model'.*load it by Auto"
    ):
        AutoModelForQuestionAnswering.from_pretrained(tmp_path / "model")
    AutoModelForTokenClassification.from_pretrained(tmp_path / "model")


def test_what_is_not_stored_yet_is_not_saved_as_if_it_were(tmp_path):
    model, (group,) = converted(), PLAN.groups
    with pytest.raises(ValueError, match="converted to other groups"):
        save(model, None, [replace(group, shape=replace(group.shape, storage="pivoted"))], tmp_path / "model")


def test_a_state_dict_brings_its_order_of_inputs_along():
    one, _ = pivoted()
    other, _ = pivoted()
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(IDS).logits, other(IDS).logits)


@pytest.mark.parametrize("make", [converted, lambda: pivoted()[0]], ids=["factors", "pivoted"])
def test_a_model_goes_to_another_process(make):
    """By `torch.save` of the whole model too, and with what layers share still shared."""
    model = make()
    again = pickle.loads(pickle.dumps(model))
    first, second = (layer.self_attn.q_proj for layer in again.model.layers)
    assert torch.equal(again(IDS).logits, model(IDS).logits)
    assert second.owner is first and second.basis.weight is first.basis.weight
    again.load_state_dict(make().state_dict())
    assert second.basis.weight is first.basis.weight and first is not model.model.layers[0].self_attn.q_proj


def test_a_pivoted_model_is_one_graph():
    model, _ = pivoted()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(IDS, use_cache=False).logits, model(IDS, use_cache=False).logits)


def test_pivots_may_be_all_inputs():
    """A wide matrix at full rank: nothing is left of the basis, and the rows are the matrix itself."""
    model = LlamaForCausalLM(converted().config.__class__(**converted().config.to_dict() | {"quantization_config": None})).eval()
    group = Group(Shape("gate", (0,), 8, 12, "pivoted"), 8.0, 8)
    weight = model.model.layers[0].mlp.gate_proj.weight.detach().double().mT
    with torch.no_grad():
        expected = model(IDS).logits
        convert(model, [group], {"gate.00": (torch.eye(8).double(), weight)})
        store(model, [group], {})
        torch.testing.assert_close(model(IDS).logits, expected)
