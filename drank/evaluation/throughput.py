"""How fast a model reads and writes: prefill and decode timed apart, on one batch of random token ids."""

from __future__ import annotations

import logging
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.models.families import context_of
from drank.runtime.log import BRIEF
from drank.runtime.provenance import cores

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)


def measure(
    model: PreTrainedModel, *, batch: int, prompt: int, generate: int, repeats: int, warmup: int = 1, seed: int = 0, name: str = "model"
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Result rows (tokens per second of prefill and decode: median and quartiles; peak memory in bytes) and the seconds of every repeat.

    Prefill is one forward pass over `batch` prompts of `prompt` random tokens that fills the KV cache and gives the logits of the last
    position. Decode is `generate` greedy steps of one token for each prompt on such a cache, filling it not counted. `warmup` rounds of
    both come first and are not counted. Runs where the model is, in evaluation mode, which is set back. `name` is what the log calls it.

    Peak memory: on CUDA what PyTorch's tensors took at most during the counted rounds (weights, cache and activations); on a CPU the
    highest resident size of the whole process, Python and its libraries included, during them (where the system cannot count anew: since
    the process started).
    Raises ValueError where a size is below one or the prompt and what is generated do not fit the model's context.
    """
    import torch

    _check(model, batch=batch, prompt=prompt, generate=generate, repeats=repeats, warmup=warmup)
    device, training = model.device, model.training
    ids = torch.randint(model.config.vocab_size, (batch, prompt), generator=torch.Generator().manual_seed(seed)).to(device)
    seconds: dict[str, list[float]] = {"prefill": [], "decode": []}
    model.eval()
    try:
        with torch.inference_mode():
            for turn in range(-warmup, repeats):
                if turn == 0:
                    _reset_peak(device)
                prefill, decode = _round(model, ids, generate)
                if turn >= 0:
                    seconds["prefill"].append(prefill)
                    seconds["decode"].append(decode)
                    log.info("%s, round %d of %d: prefill %.3f s, decode %.3f s", name, turn + 1, repeats, prefill, decode, extra=BRIEF)
    finally:
        model.train(training)
    peak = peak_memory(device)
    rows = [
        _rate("prefill", batch * prompt, seconds["prefill"]),
        _rate("decode", batch * generate, seconds["decode"]),
        {"dataset": "process", "metric": "peak_memory_bytes", "value": peak, "ci_low": peak, "ci_high": peak, "count": 1},
    ]
    log.info("%s: prefill %.0f tokens/s, decode %.0f tokens/s", name, rows[0]["value"], rows[1]["value"])
    sizes = {"batch": batch, "prompt": prompt}
    return rows, {
        "prefill": {"seconds": seconds["prefill"], **sizes},
        "decode": {"seconds": seconds["decode"], **sizes, "generate": generate},
    }


def check_cores(threads: int) -> None:
    """Raise ValueError where this process may use fewer cores than a timing has threads: they would wait for each other."""
    if threads > cores():
        raise ValueError(
            f"throughput: timings run with {threads} threads (compute.threads), and this process may use {cores()} cores; "
            "lower compute.threads, or run where there are as many"
        )


def peak_memory(device: torch.device) -> int:
    """Bytes at the high-water mark, counted as `measure` says."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * next(int(line.split()[1]) for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes on Linux


def _reset_peak(device: torch.device) -> None:
    """Begin to count peak memory anew."""
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5", "utf-8")  # proc(5): resets VmHWM


def _check(model: PreTrainedModel, *, prompt: int, generate: int, warmup: int, **sizes: int) -> None:
    wrong = [f"{name} is {size}" for name, size in {"prompt": prompt, "generate": generate, **sizes}.items() if size < 1]
    wrong += [f"warmup is {warmup}"] if warmup < 0 else []
    if wrong:
        raise ValueError(f"throughput: {', '.join(wrong)}; sizes must be 1 or more, warmup 0 or more")
    context = context_of(model.config.get_text_config())
    if context is not None and prompt + generate > context:
        raise ValueError(
            f"throughput: prompt {prompt} + generate {generate} = {prompt + generate} tokens do not fit this model's context of {context}; "
            "lower throughput.prompt or throughput.generate"
        )


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
    prefill, filled = _seconds(ids.device, lambda: model(input_ids=ids, use_cache=True, logits_to_keep=1))

    def decode() -> None:
        state = filled
        for _ in range(generate):
            token = state.logits[:, -1:].argmax(-1)  # (batch, 1)
            state = model(input_ids=token, past_key_values=state.past_key_values, use_cache=True)

    return prefill, _seconds(ids.device, decode)[0]


def _rate(phase: str, tokens: int, seconds: list[float]) -> dict[str, Any]:
    rates = [tokens / second for second in seconds]
    low, median, high = statistics.quantiles(rates, n=4, method="inclusive") if len(rates) > 1 else rates * 3
    return {"dataset": phase, "metric": "tokens_per_second", "value": median, "ci_low": low, "ci_high": high, "count": len(rates)}
