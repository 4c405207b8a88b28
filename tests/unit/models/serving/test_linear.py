"""Which tensors a low-rank layer of vLLM takes, and which it misses; stand-ins are in the place of vLLM's classes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from drank.models.description import CheckpointError
from drank.models.serving.built import Built
from drank.models.serving.places import places_of
from tests.unit.models.serving.test_places import groups

PACKAGE, LINEAR = "vllm.model_executor.layers", "drank.models.serving.linear"


class Layer(nn.Module):
    """A layer of vLLM that joins Q, K and V of 8 inputs and 8 outputs each, in one process."""

    tp_rank = 0

    def __init__(self, biased: bool) -> None:
        super().__init__()
        self.has_bias = biased

    def load(self, parameter: Any, tensor: Tensor, shard: str) -> None:
        parameter.data.chunk(3)[("q", "k", "v").index(shard)].copy_(tensor)

    def build(self, method: Any) -> None:
        """As vLLM does: first the weights, then the bias."""
        method.create_weights(self, 8, [8, 8, 8], 8, 24, torch.float32, weight_loader=self.load)
        self.bias: Any = nn.Parameter(torch.full((24,), torch.nan), requires_grad=False) if self.has_bias else None
        if self.has_bias:
            self.bias.weight_loader = self.load


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, imported with stand-ins for vLLM's classes."""
    plain = type("Plain", (), {"process_weights_after_loading": lambda self, layer: None})
    classes = {"LinearBase": nn.Module, "LinearMethodBase": object, "UnquantizedLinearMethod": plain}
    for name in (*("vllm", "vllm.model_executor", PACKAGE), f"{PACKAGE}.linear"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(__path__=[], **classes))
    monkeypatch.delitem(sys.modules, LINEAR, raising=False)
    yield importlib.import_module(LINEAR)
    sys.modules.pop(LINEAR, None)


def sent(linear: ModuleType, biased: bool, without: str = "") -> tuple[Layer, Any]:
    """A layer of a model whose K is dense once all tensors of the checkpoint came but one, and its method."""
    places, names = places_of("llama", groups("q", "k", "v")), ["q_proj", "k_proj", "v_proj"]
    found = [places[f"model.layers.0.self_attn.{name}"] for name in names]
    layer, method = Layer(biased), linear.LowRankMethod(Built(), "model.layers.0.self_attn.qkv_proj", names, found)
    layer.build(method)
    low_rank = {"basis.weight": torch.ones(3, 8), "coefficients.weight": torch.ones(8, 3), "coefficients.bias": torch.full((8,), 2.0)}
    tensors = {(shard, kind): tensor for shard in "qv" for kind, tensor in low_rank.items()} | {("k", "weight"): torch.ones(8, 8)}
    for (shard, kind), tensor in tensors.items():
        if f"{shard} {kind}" != without:
            parameter: Any = layer.get_parameter(kind)
            parameter.weight_loader(parameter, tensor, shard)
    return layer, method


def test_a_bias_is_where_the_layer_has_its_own(linear: ModuleType) -> None:
    layer, method = sent(linear, biased=True)
    method.process_weights_after_loading(layer)
    q, k, v = layer.bias.chunk(3)
    assert torch.equal(q, torch.full((8,), 2.0)) and torch.equal(q, v) and k.isnan().all(), "that of K, which is dense, vLLM loads itself"


def test_a_bias_that_did_not_come_is_named(linear: ModuleType) -> None:
    layer, method = sent(linear, biased=True, without="v coefficients.bias")
    with pytest.raises(CheckpointError, match=r"1 tensors are missing .*: model\.layers\.0\.self_attn\.v_proj\.coefficients\.bias"):
        method.process_weights_after_loading(layer)


def test_a_bias_for_which_the_layer_has_no_place_is_refused(linear: ModuleType) -> None:
    with pytest.raises(CheckpointError, match="q_proj has a bias in the checkpoint, and none in vLLM's model"):
        sent(linear, biased=False)
