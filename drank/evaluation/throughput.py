"""How fast models read and write: prefill and every decoded token timed, on one batch of random token ids, the models in turn."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drank.evaluation.ceilings import Ceilings
from drank.evaluation.clock import Clock
from drank.evaluation.generation import decode, prefill, prompts
from drank.evaluation.other_load import Usage
from drank.evaluation.roofline import Work
from drank.evaluation.timing import PHASES, Machine, Timing
from drank.models.families import context_of
from drank.runtime.device import cores
from drank.runtime.log import BRIEF

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)


def measure(
    models: Mapping[str, PreTrainedModel],
    *,
    batch: int,
    prompt: int,
    generate: int,
    repeats: int,
    seed: int = 0,
    first: int | None = None,
    ceilings: Ceilings | None = None,
) -> dict[str, Timing]:
    """The timings of models by name, in turn: a round of each, then the next round, so that what slows the machine slows all of them.

    Prefill is one forward pass over `batch` prompts of `prompt` random tokens, behind the token `first` as one of them where it is given,
    that fills the KV cache and gives the logits of the last position: the time to the first token. Decode is `generate` greedy steps of
    one token for each prompt on such a cache, filling it not counted, each of them timed. To warm up, a round in which operations and
    tensors are counted comes first, then one as those that count. Every round begins with the `ceilings` of the machine, where they are
    asked for, then with another model. Runs where the models are, in evaluation mode, which is set back.

    Raises ValueError where a size is below one or the prompt and what is generated do not fit a model's context.
    """
    import torch

    for model in models.values():
        _check(model, batch=batch, prompt=prompt, generate=generate, repeats=repeats)
    training = {name: model.training for name, model in models.items()}
    ids = {name: prompts(model, batch, prompt, seed, first) for name, model in models.items()}
    machine = Machine()
    try:
        with torch.inference_mode(), _no_collector():
            found = {name: _counted(model.eval(), ids[name], generate, machine) for name, model in models.items()}
            for name, model in models.items():
                _round(model, ids[name], generate)
            for turn in range(repeats):
                before = Usage.now()
                if ceilings:
                    machine.ceilings.append(ceilings.round())
                for name in _from(list(models), turn):
                    gc.collect()
                    found[name].add(*_round(models[name], ids[name], generate))
                machine.other.append(before.other(Usage.now()))
                log.info("%s: round %d of %d", ", ".join(models), turn + 1, repeats, extra=BRIEF)
    finally:
        for name, model in models.items():
            model.train(training[name])
    return found


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


def _round(model: PreTrainedModel, ids: Tensor, generate: int) -> tuple[float, list[float]]:
    """Seconds of one prefill and of each step of the decoding that follows it."""
    clock = Clock(ids.device)
    state = prefill(model, ids, generate)
    clock.mark()
    decode(model, state, generate, clock.mark)
    first, *steps = clock.spans()
    return first, steps


def _counted(model: PreTrainedModel, ids: Tensor, generate: int, machine: Machine) -> Timing:
    """A timing without rounds: the bytes of a model's tensors over one prefill and decoding, and what both ask of a machine."""
    from drank.evaluation.operations import operations_of
    from drank.evaluation.tensor_memory import cache_bytes, model_bytes, peak_tensor_bytes, weight_bytes

    batch, prompt = ids.shape
    read, state = operations_of(lambda: prefill(model, ids, generate))
    written, _ = operations_of(lambda: decode(model, state, 1))
    peak, last = peak_tensor_bytes(model, ids.device, lambda: decode(model, prefill(model, ids, generate), generate))
    weights, cache = weight_bytes(model), cache_bytes(last.past_key_values)
    memory = {"model_bytes": model_bytes(model), "weight_bytes": weights, "cache_bytes": cache, "peak_tensor_bytes": peak}
    kept = sum(cache * (prompt + step) // (prompt + generate) for step in range(1, generate + 1))  # what the steps read of the cache
    work = {"prefill": Work(read, weights), "decode": Work(generate * written, generate * weights + kept)}
    return Timing({phase: [] for phase in PHASES}, memory, [], work, written // batch, machine)
