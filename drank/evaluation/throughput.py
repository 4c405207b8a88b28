"""How fast models read and write: prefill and decode timed apart, on one batch of random token ids, the models in turn."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drank.models.families import context_of
from drank.runtime.log import BRIEF
from drank.runtime.provenance import cores

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

PHASES = ("prefill", "decode")


@dataclass(frozen=True)
class Timing:
    """What timing one model found: the seconds of every counted round by phase, and the bytes of its tensors.

    `memory` has `model_bytes` (weights and buffers as held in memory), `cache_bytes` (keys and values at the end of decoding) and
    `peak_tensor_bytes` (the most that weights, activations and cache took at once during one round of both phases).
    """

    seconds: dict[str, list[float]]
    memory: dict[str, int]


def measure(
    models: Mapping[str, PreTrainedModel],
    *,
    batch: int,
    prompt: int,
    generate: int,
    repeats: int,
    seed: int = 0,
    first: int | None = None,
) -> dict[str, Timing]:
    """The timings of models by name, in turn: a round of each, then the next round, so that what slows the machine slows all of them.

    Prefill is one forward pass over `batch` prompts of `prompt` random tokens, behind the token `first` as one of them where it is given,
    that fills the KV cache and gives the logits of the last position. Decode is `generate` greedy steps of one token for each prompt on
    such a cache, filling it not counted. To warm up, a round of both comes first, in which tensors are counted and nothing is timed. Every
    round begins with another model. Runs where the models are, in evaluation mode, which is set back.

    Raises ValueError where a size is below one or the prompt and what is generated do not fit a model's context.
    """
    import torch

    for model in models.values():
        _check(model, batch=batch, prompt=prompt, generate=generate, repeats=repeats)
    training = {name: model.training for name, model in models.items()}
    ids = {name: _prompts(model, batch, prompt, seed, first) for name, model in models.items()}
    seconds: dict[str, dict[str, list[float]]] = {name: {phase: [] for phase in PHASES} for name in models}
    try:
        with torch.inference_mode(), _no_collector():
            memory = {name: _memory(model.eval(), ids[name], generate) for name, model in models.items()}
            for turn in range(repeats):
                for name in _from(list(models), turn):
                    gc.collect()
                    for phase, took in zip(PHASES, _round(models[name], ids[name], generate), strict=True):
                        seconds[name][phase].append(took)
                log.info("%s: round %d of %d", ", ".join(models), turn + 1, repeats, extra=BRIEF)
    finally:
        for name, model in models.items():
            model.train(training[name])
    return {name: Timing(seconds[name], memory[name]) for name in models}


def check_cores(threads: int) -> None:
    """Raise ValueError where this process may use fewer cores than a timing has threads: they would wait for each other."""
    if threads > cores():
        raise ValueError(
            f"throughput: timings run with {threads} threads (compute.threads), and this process may use {cores()} cores; "
            "lower compute.threads, or run where there are as many"
        )


def _check(model: PreTrainedModel, *, prompt: int, generate: int, **sizes: int) -> None:
    wrong = [f"{name} is {size}" for name, size in {"prompt": prompt, "generate": generate, **sizes}.items() if size < 1]
    if wrong:
        raise ValueError(f"throughput: {', '.join(wrong)}; sizes must be 1 or more")
    context = context_of(model.config.get_text_config())
    if context is not None and prompt + generate > context:
        raise ValueError(
            f"throughput: prompt {prompt} + generate {generate} = {prompt + generate} tokens do not fit this model's context of {context}; "
            "lower throughput.prompt or throughput.generate"
        )


def _prompts(model: PreTrainedModel, batch: int, prompt: int, seed: int, first: int | None = None) -> Tensor:
    """Random token ids (batch, prompt), where the model is; each row begins with `first`, where one is given."""
    import torch

    ids = torch.randint(model.config.get_text_config().vocab_size, (batch, prompt), generator=torch.Generator().manual_seed(seed))
    if first is not None:
        ids[:, 0] = first
    return ids.to(model.device)


def _from(names: list[str], turn: int) -> list[str]:
    """All names in their order, every turn from another on: none always follows the same or comes last."""
    start = turn % len(names)
    return names[start:] + names[:start]


@contextmanager
def _no_collector() -> Iterator[None]:
    """Keep Python's collector from what is timed; what is there already is not looked at, so that collecting between rounds is quick."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _seconds(device: torch.device, work: Callable[[], Any]) -> tuple[float, Any]:
    """How long a piece of work takes until the device has done it, and what it returns."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started, result


def _round(model: PreTrainedModel, ids: Tensor, generate: int) -> tuple[float, float]:
    """Seconds of one prefill and of the decoding that follows it."""
    prefill, filled = _seconds(ids.device, lambda: _prefill(model, ids))
    return prefill, _seconds(ids.device, lambda: _decode(model, filled, generate))[0]


def _memory(model: PreTrainedModel, ids: Tensor, generate: int) -> dict[str, int]:
    """The bytes of a model's tensors over one prefill and decoding."""
    from drank.evaluation.tensor_memory import cache_bytes, model_bytes, peak_tensor_bytes

    peak, last = peak_tensor_bytes(model, ids.device, lambda: _decode(model, _prefill(model, ids), generate))
    return {"model_bytes": model_bytes(model), "cache_bytes": cache_bytes(last.past_key_values), "peak_tensor_bytes": peak}


def _prefill(model: PreTrainedModel, ids: Tensor) -> Any:
    """What the model says after reading the prompts: logits of the last position and the cache."""
    return model(input_ids=ids, use_cache=True, logits_to_keep=1)


def _decode(model: PreTrainedModel, state: Any, generate: int) -> Any:
    """What the model says after so many greedy steps from a state on."""
    for _ in range(generate):
        token = state.logits[:, -1:].argmax(-1)  # (batch, 1)
        state = model(input_ids=token, past_key_values=state.past_key_values, use_cache=True)
    return state
