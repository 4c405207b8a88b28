"""The memory of a model is counted in the tensors that it holds and makes, byte for byte."""

from __future__ import annotations

import torch
from torch import nn
from transformers import DynamicCache

from drank.evaluation.tensor_memory import cache_bytes, model_bytes, peak_tensor_bytes, weight_bytes

CPU = torch.device("cpu")
FLOAT = 4


def made(model: nn.Module, x: torch.Tensor) -> int:
    """The most bytes that a forward pass holds beyond the model."""
    with torch.inference_mode():
        return peak_tensor_bytes(model, CPU, lambda: model(x))[0] - model_bytes(model)


def test_weights_and_buffers_count_as_held_and_what_is_shared_once() -> None:
    model = nn.Sequential(nn.Linear(8, 32), nn.Linear(32, 4).to(torch.float16), nn.Embedding(5, 8))
    model.register_buffer("frequencies", torch.zeros(7), persistent=False)
    model.register_buffer("view", model[0].weight.detach()[:2])
    model.tied = model[2]
    assert model_bytes(model) == 4 * (8 * 32 + 32) + 2 * (32 * 4 + 4) + 4 * 5 * 8 + 4 * 7


def test_weights_without_elements_do_not_hide_those_beside_them() -> None:
    whole = torch.zeros(6)
    model = nn.ParameterList([nn.Parameter(whole), nn.Parameter(torch.empty(0).set_(whole.untyped_storage(), 6, (0,)))])
    assert model_bytes(model) == 6 * FLOAT
    assert model_bytes(nn.ParameterList([nn.Parameter(torch.empty(0)), nn.Parameter(torch.empty(0)), nn.Parameter(whole)])) == 6 * FLOAT


def test_activations_of_linear_layers_are_those_that_live_at_once() -> None:
    model = nn.Sequential(nn.Linear(8, 32), nn.Linear(32, 4), nn.Linear(4, 16))
    assert made(model, torch.zeros(3, 8)) == FLOAT * 3 * max(32 + 4, 4 + 16)


def test_views_and_changes_in_place_take_nothing() -> None:
    class Views(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x.view(-1).unsqueeze(0) + 1).add_(1).mul_(2).T[:3]

    assert made(Views(), torch.zeros(3, 8)) == FLOAT * 24


def test_what_is_dropped_makes_room_and_what_is_kept_adds_up() -> None:
    x, kept = torch.zeros(100), []
    assert peak_tensor_bytes(nn.Identity(), CPU, lambda: [x + 1 for _ in range(4)] and None)[0] == FLOAT * 400
    assert peak_tensor_bytes(nn.Identity(), CPU, lambda: [(x + 1).sum() for _ in range(4)])[0] == FLOAT * (100 + 4)
    assert peak_tensor_bytes(nn.Identity(), CPU, lambda: kept.append(x))[0] == 0


def test_of_an_embedding_a_token_reads_one_row_unless_it_is_the_head_too() -> None:
    model = nn.ModuleDict({"embedding": nn.Embedding(10, 4), "norm": nn.BatchNorm1d(4), "head": nn.Linear(4, 10, bias=False)})
    rest = model_bytes(model) - FLOAT * 40
    assert weight_bytes(model) == rest
    model["head"].weight = model["embedding"].weight
    assert weight_bytes(model) == model_bytes(model) == rest, "shared once"


def test_a_cache_holds_keys_and_values_of_all_layers() -> None:
    cache = DynamicCache()
    for layer in range(3):
        cache.update(torch.zeros(2, 4, 5, 8), torch.zeros(2, 4, 5, 8), layer)
    assert cache_bytes(cache) == 3 * 2 * FLOAT * 2 * 4 * 5 * 8
    assert cache_bytes(None) == 0


def test_on_a_gpu_the_allocators_peak_counts_without_what_was_there(monkeypatch) -> None:
    asked: list[str] = []
    for name, answer in {
        "memory_allocated": 1000,
        "max_memory_allocated": 1700,
        "synchronize": None,
        "reset_peak_memory_stats": None,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, name=name, answer=answer: asked.append(name) or answer)
    model = nn.Linear(8, 4, bias=False)
    assert peak_tensor_bytes(model, torch.device("cuda"), lambda: asked.append("work")) == (8 * 4 * FLOAT + 700, None)
    assert asked == ["synchronize", "memory_allocated", "reset_peak_memory_stats", "work", "synchronize", "max_memory_allocated"]
