"""Prefill and decode are timed apart, on the tokens they are said to read, and on nothing else."""

from __future__ import annotations

import copy
import gc
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from drank.evaluation import throughput
from drank.evaluation.ceilings import READ
from drank.evaluation.loaded import Loaded
from drank.evaluation.throughput import measure

SIZES = {"batch": 2, "prompt": 6, "generate": 4, "repeats": 3}


@pytest.fixture
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=16,
        )
    )


@pytest.fixture
def read(model: LlamaForCausalLM) -> list[torch.Tensor]:
    """The token ids of every forward pass, in order."""
    seen: list[torch.Tensor] = []

    def note(_: Any, __: Any, inputs: dict[str, Any]) -> None:
        seen.append(inputs["input_ids"].clone())

    model.register_forward_pre_hook(note, with_kwargs=True)
    return seen


def test_every_round_of_every_model_is_timed_and_memory_counted(model: LlamaForCausalLM) -> None:
    found = measure({"one": model, "two": copy.deepcopy(model)}, **SIZES)
    assert list(found) == ["one", "two"]
    for timing in found.values():
        assert {phase: len(seconds) for phase, seconds in timing.seconds.items()} == {"prefill": 3, "decode": 3}
        assert timing.memory["cache_bytes"] == 2 * 2 * 2 * (6 + 4) * 2 * 8 * 4, "layers, keys and values, batch, tokens, heads, size, bytes"
        assert [len(steps) for steps in timing.steps] == [4] * 3 and timing.seconds["decode"] == [sum(steps) for steps in timing.steps]
        assert timing.memory["peak_tensor_bytes"] > timing.memory["model_bytes"] + timing.memory["cache_bytes"]
    assert found["one"].memory == found["two"].memory, "what the other holds does not count"


def test_models_take_turns_and_each_round_begins_with_another(monkeypatch: pytest.MonkeyPatch, model: LlamaForCausalLM) -> None:
    models = {name: copy.deepcopy(model) for name in ("a", "b", "c")}
    names = {id(one): name for name, one in models.items()}
    order: list[str] = []
    monkeypatch.setattr(Loaded, "round", lambda one: (float(len(order)), order.append(names[id(one._model)]) or [0.25, 0.5]))
    found = measure(models, **SIZES)
    assert order == [*"abc", *"abc", *"bac", *"cab"], "a round to warm up, three that count"
    assert found["a"].seconds == {"prefill": [3.0, 7.0, 10.0], "decode": [0.75] * 3}
    assert found["a"].steps == [[0.25, 0.5]] * 3


def test_every_round_begins_with_the_ceilings_which_all_models_share(monkeypatch: pytest.MonkeyPatch, model: LlamaForCausalLM) -> None:
    order: list[str] = []
    monkeypatch.setattr(Loaded, "round", lambda _: (1.0, order.append("model") or [1.0]))
    rates = SimpleNamespace(round=lambda: order.append("ceilings") or {READ: float(len(order))})
    found = measure({"one": model, "two": copy.deepcopy(model)}, **SIZES, ceilings=rates)
    assert order[2:] == ["ceilings", "model", "model"] * 3
    assert found["one"].machine is found["two"].machine and found["one"].machine.ceilings == [{READ: 3.0}, {READ: 6.0}, {READ: 9.0}]
    assert len(found["one"].machine.other) == 3


def test_the_work_of_a_phase_is_that_of_its_tokens(model: LlamaForCausalLM) -> None:
    timing = measure({"model": model}, **SIZES)["model"]
    layers = sum(weight.numel() for name, weight in model.named_parameters() if "proj" in name)
    head = model.lm_head.weight.numel()
    assert timing.operations_per_token == 2 * (layers + head)
    assert timing.work["prefill"].operations == 2 * 2 * (6 * layers + head), "of a prompt only the last position has logits"
    assert timing.work["decode"].operations == 2 * 4 * timing.operations_per_token
    read = timing.memory["weight_bytes"]
    assert read == timing.memory["model_bytes"] - model.get_input_embeddings().weight.nbytes
    cache = timing.memory["cache_bytes"]
    assert timing.work["prefill"].bytes == read and timing.work["decode"].bytes == 4 * read + cache * (7 + 8 + 9 + 10) // 10


def test_the_collector_rests_while_timed_and_is_back_afterwards(monkeypatch: pytest.MonkeyPatch, model: LlamaForCausalLM) -> None:
    resting: list[bool] = []
    monkeypatch.setattr(Loaded, "round", lambda _: (resting.append(not gc.isenabled()) or 1.0, [1.0]))
    measure({"model": model}, **SIZES)
    assert resting == [True] * 4 and gc.isenabled() and gc.get_freeze_count() == 0


def test_decodes_one_token_at_a_time_as_generate_does(model: LlamaForCausalLM, read: list[torch.Tensor]) -> None:
    measure({"model": model}, **SIZES, seed=3)
    assert len(read) == (1 + 1) + (2 + 3) * (1 + 4), "operations counted, two rounds to warm up, three that count"
    first = read[2 : 2 + 1 + 4]
    assert [tuple(ids.shape) for ids in first] == [(2, 6)] + [(2, 1)] * 4
    greedy = model.eval().generate(
        first[0], attention_mask=torch.ones_like(first[0]), max_new_tokens=4, min_new_tokens=4, do_sample=False, pad_token_id=0
    )
    assert torch.equal(greedy[:, 6:], torch.cat(first[1:], dim=1))


def test_the_seed_decides_the_prompt(model: LlamaForCausalLM, read: list[torch.Tensor]) -> None:
    for seed in (1, 1, 2):
        measure({"model": model}, batch=2, prompt=6, generate=1, repeats=1, seed=seed)
    each = len(read) // 3
    assert torch.equal(read[0], read[each])
    assert not torch.equal(read[0], read[2 * each])


def test_gives_the_models_back_as_they_were(model: LlamaForCausalLM) -> None:
    other = copy.deepcopy(model).eval()
    model.train()
    measure({"model": model, "other": other}, **SIZES)
    assert model.training and not other.training


def test_refuses_what_does_not_fit_the_context(model: LlamaForCausalLM) -> None:
    measure({"model": model}, batch=1, prompt=12, generate=4, repeats=1)
    with pytest.raises(ValueError, match=r"prompt 13 \+ generate 4 = 17 tokens do not fit this model's context of 16"):
        measure({"model": model}, batch=1, prompt=13, generate=4, repeats=1)


def test_names_all_wrong_sizes_at_once(model: LlamaForCausalLM) -> None:
    with pytest.raises(ValueError, match=r"prompt is 0, batch is 0, repeats is -1"):
        measure({"model": model}, batch=0, prompt=0, generate=1, repeats=-1)


def test_a_timing_with_more_threads_than_it_has_cores_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "cores", lambda: 2)
    throughput.check_cores(2)
    with pytest.raises(ValueError, match=r"3 threads \(compute.threads\), and this process may use 2 cores; lower"):
        throughput.check_cores(3)
