"""Prefill and decode are timed apart, on the tokens they are said to read, and on nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from drank.evaluation import throughput
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


def test_rows_follow_from_the_seconds(model: LlamaForCausalLM) -> None:
    rows, detail = measure(model, **SIZES)
    prefill, decode, process = rows
    assert [(r["dataset"], r["metric"]) for r in rows] == [
        ("prefill", "tokens_per_second"),
        ("decode", "tokens_per_second"),
        ("process", "peak_memory_bytes"),
    ]
    for row, tokens in ((prefill, 2 * 6), (decode, 2 * 4)):
        seconds = sorted(detail[row["dataset"]]["seconds"])
        assert row["count"] == len(seconds) == 3
        assert row["value"] == pytest.approx(tokens / seconds[1])
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
    assert detail["decode"] | {"seconds": None} == {"seconds": None, "batch": 2, "prompt": 6, "generate": 4}
    assert process["value"] > 10_000_000  # a process with torch in it


def test_quartiles_of_the_rates(monkeypatch: pytest.MonkeyPatch, model: LlamaForCausalLM) -> None:
    rounds = iter([(9.0, 9.0), (1.0, 4.0), (2.0, 2.0), (4.0, 1.0)])
    monkeypatch.setattr(throughput, "_round", lambda *_: next(rounds))
    (prefill, decode, _), detail = measure(model, **SIZES)
    assert detail["prefill"]["seconds"] == [1.0, 2.0, 4.0]
    assert (prefill["ci_low"], prefill["value"], prefill["ci_high"]) == (4.5, 6.0, 9.0)
    assert (decode["ci_low"], decode["value"], decode["ci_high"]) == (3.0, 4.0, 6.0)


def test_decodes_one_token_at_a_time_as_generate_does(model: LlamaForCausalLM, read: list[torch.Tensor]) -> None:
    measure(model, **SIZES, warmup=0, seed=3)
    first = read[: 1 + 4]
    assert [tuple(ids.shape) for ids in first] == [(2, 6)] + [(2, 1)] * 4
    greedy = model.eval().generate(
        first[0], attention_mask=torch.ones_like(first[0]), max_new_tokens=4, min_new_tokens=4, do_sample=False, pad_token_id=0
    )
    assert torch.equal(greedy[:, 6:], torch.cat(first[1:], dim=1))


@pytest.mark.parametrize("warmup", [0, 2])
def test_warm_up_runs_and_is_not_counted(model: LlamaForCausalLM, read: list[torch.Tensor], warmup: int) -> None:
    _, detail = measure(model, **SIZES, warmup=warmup)
    assert len(read) == (warmup + 3) * (1 + 4)
    assert len(detail["prefill"]["seconds"]) == len(detail["decode"]["seconds"]) == 3


def test_the_seed_decides_the_prompt(model: LlamaForCausalLM, read: list[torch.Tensor]) -> None:
    for seed in (1, 1, 2):
        measure(model, batch=2, prompt=6, generate=1, repeats=1, warmup=0, seed=seed)
    assert torch.equal(read[0], read[2])
    assert not torch.equal(read[0], read[4])


def test_gives_the_model_back_as_it_was(model: LlamaForCausalLM) -> None:
    model.train()
    measure(model, **SIZES)
    assert model.training
    model.eval()
    measure(model, **SIZES)
    assert not model.training


def test_one_repeat_has_no_spread(model: LlamaForCausalLM) -> None:
    (prefill, *_), _ = measure(model, batch=1, prompt=2, generate=1, repeats=1)
    assert prefill["ci_low"] == prefill["value"] == prefill["ci_high"]


def test_waits_for_the_device_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: events.append("synchronize"))
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: events.append("clock") or 0.0)
    throughput._seconds(torch.device("cuda"), lambda: events.append("work"))
    assert events == ["synchronize", "clock", "work", "synchronize", "clock"]


def test_refuses_what_does_not_fit_the_context(model: LlamaForCausalLM) -> None:
    measure(model, batch=1, prompt=12, generate=4, repeats=1)
    with pytest.raises(ValueError, match=r"prompt 13 \+ generate 4 = 17 tokens do not fit this model's context of 16"):
        measure(model, batch=1, prompt=13, generate=4, repeats=1)


def test_names_all_wrong_sizes_at_once(model: LlamaForCausalLM) -> None:
    with pytest.raises(ValueError, match=r"prompt is 0, batch is 0, repeats is -1, warmup is -1"):
        measure(model, batch=0, prompt=0, generate=1, repeats=-1, warmup=-1)


def test_a_timing_with_more_threads_than_it_has_cores_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "cores", lambda: 2)
    throughput.check_cores(2)
    with pytest.raises(ValueError, match=r"3 threads \(compute.threads\), and this process may use 2 cores; lower"):
        throughput.check_cores(3)
