"""A compressed model that is spread over devices: a basis is read from a layer that may lie on another one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_map_only
from transformers import AutoModelForCausalLM, PreTrainedModel

import drank  # noqa: F401 - lets transformers read the checkpoints
from drank.models.checkpoint import save
from drank.models.execution.optimize import optimize
from drank.models.exports.remote_code import add_code
from tests.contract.forward import logits_of

FIRST, OTHER = torch.device("cuda:0"), torch.device("cuda:1")


def bring(device: torch.device, _: nn.Module, given: tuple[Tensor]) -> Any:
    return tree_map_only(torch.Tensor, lambda tensor: tensor.to(device), given)


def spread(model: nn.Module) -> None:
    """Put block 0 on one device and the rest on another, with inputs brought to a module as accelerate's hooks do."""
    for name, module in model.named_modules():
        device = FIRST if "layers.0." in name else OTHER
        held: dict[str, Any]
        for held in (module._parameters, module._buffers):
            held |= {key: torch.empty_like(tensor, device=device) for key, tensor in held.items() if tensor is not None}
        if held or module._parameters:
            module.register_forward_pre_hook(partial(bring, device))


def written(compress: Any, tokenizer: Any, form: str, folder: Path) -> tuple[PreTrainedModel, Path]:
    """A compressed model with shared bases, and the directory of it or of its export."""
    model, plan = compress("llama", group=2)
    save(model, tokenizer, plan.groups, folder / "model")
    return model, add_code(folder / "model", folder / "export") if form == "remote code" else folder / "model"


@pytest.mark.parametrize("form", ["loaded", "remote code"])
def test_a_basis_is_read_from_another_device(compress, tiny_tokenizer, form, tmp_path) -> None:
    """Tensors without values stand in for those of two GPUs, and as these let none of two devices meet."""
    model, directory = written(compress, tiny_tokenizer, form, tmp_path)
    if form == "remote code":
        model = AutoModelForCausalLM.from_pretrained(directory, trust_remote_code=True)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        spread(model)
        reader = model.model.layers[1].mlp.up_proj
        assert reader.coefficients.weight.device == OTHER and model.model.layers[0].mlp.up_proj.basis.weight.device == FIRST
        given = torch.empty(2, 3, 16, device=OTHER)
        assert reader(given).device == OTHER and reader(given).shape == (2, 3, 40)


PLACES = {
    "model.embed_tokens": "cpu",
    "model.rotary_emb": "cpu",
    "model.layers.0": "disk",
    "model.layers.1": "cpu",
    "model.layers.2": "disk",
    "model.norm": "cpu",
    "lm_head": "cpu",
}


@pytest.mark.filterwarnings("ignore:The following device_map keys do not match")
@pytest.mark.parametrize("form", ["loaded", "remote code"])
def test_a_map_of_all_modules_to_devices_is_one_of_all_tensors(compress, tiny_tokenizer, tokens, form, tmp_path) -> None:
    """As it is written for a dense model: what a compressed one has beside its modules needs no place in it."""
    model, directory = written(compress, tiny_tokenizer, form, tmp_path)
    options = {"device_map": dict(PLACES), "offload_folder": tmp_path / "offloaded", "trust_remote_code": form == "remote code"}
    options |= {"offload_buffers": form == "remote code"}  # whose code keeps the orders in memory
    loaded = AutoModelForCausalLM.from_pretrained(directory, **options)
    assert {parameter.device.type for parameter in loaded.parameters()} == {"cpu", "meta"}
    assert torch.equal(logits_of(loaded, tokens), logits_of(model, tokens))


@pytest.mark.filterwarnings("ignore:The following device_map keys do not match")
@pytest.mark.parametrize("storage", ["pivoted"], indirect=True)
def test_pivots_that_are_offloaded_are_refused(compress, tiny_tokenizer, tmp_path) -> None:
    """Or the order of the inputs would be whatever memory holds."""
    _, directory = written(compress, tiny_tokenizer, "loaded", tmp_path)
    with pytest.raises(ValueError, match="load it without offload_buffers"):
        AutoModelForCausalLM.from_pretrained(
            directory, device_map=dict(PLACES), offload_folder=tmp_path / "offloaded", offload_buffers=True
        )


def test_a_model_whose_bases_lie_elsewhere_than_their_readers_is_not_fused(compress) -> None:
    model, _ = compress("llama", group=2)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        spread(model)
        with pytest.raises(ValueError, match=r"another device.*layers\.1\.self_attn\.q_proj"):
            optimize(model)
