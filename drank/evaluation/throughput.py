"""How fast models read and write: prefill and every decoded token timed, on one batch of random token ids, the models in turn."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drank.evaluation.ceilings import Ceilings
from drank.evaluation.generation import prompts
from drank.evaluation.loaded import Loaded
from drank.evaluation.other_load import Usage
from drank.evaluation.timing import Machine, Runner, Timing
from drank.models.families import context_of
from drank.runtime.device import cores
from drank.runtime.log import BRIEF

if TYPE_CHECKING:
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
        check_sizes(context_of(model.config.get_text_config()), batch=batch, prompt=prompt, generate=generate, repeats=repeats)
    training = {name: model.training for name, model in models.items()}
    ids = {name: prompts(model, batch, prompt, seed, first).to(model.device) for name, model in models.items()}
    try:
        with torch.inference_mode():
            return take_turns({name: Loaded(model.eval(), ids[name], generate) for name, model in models.items()}, repeats, ceilings)
    finally:
        for name, model in models.items():
            model.train(training[name])


def take_turns(runners: Mapping[str, Runner], repeats: int, ceilings: Ceilings | None = None) -> dict[str, Timing]:
    """The timings of what runs models, by name, as `measure` takes them; at the first they are counted and warmed up."""
    machine = Machine()
    with _no_collector():
        found = {name: runner.counted(machine) for name, runner in runners.items()}
        for runner in runners.values():
            runner.round()
        for turn in range(repeats):
            before = _usage(runners)
            if ceilings:
                machine.ceilings.append(ceilings.round())
            for name in _from(list(runners), turn):
                gc.collect()
                found[name].add(*runners[name].round())
            machine.other.append(before.other(_usage(runners)))
            log.info("%s: round %d of %d", ", ".join(runners), turn + 1, repeats, extra=BRIEF)
    return found


def _usage(runners: Mapping[str, Runner]) -> Usage:
    """What the machine has done so far; what models do in processes of their own is no other work."""
    return Usage.now(sum(runner.processor_seconds() for runner in runners.values()))


def check_cores(threads: int) -> None:
    """Raise ValueError where this process may use fewer cores than a timing has threads: they would wait for each other."""
    if threads > cores():
        raise ValueError(
            f"throughput: timings run with {threads} threads (compute.threads), and this process may use {cores()} cores; "
            "lower compute.threads, or run where there are as many"
        )


def check_sizes(context: int | None, *, prompt: int, generate: int, **sizes: int) -> None:
    """Raise ValueError where a size is below one, or where the prompt and what is generated do not fit a model's context, if it has one."""
    wrong = [f"{name} is {size}" for name, size in {"prompt": prompt, "generate": generate, **sizes}.items() if size < 1]
    if wrong:
        raise ValueError(f"throughput: {', '.join(wrong)}; sizes must be 1 or more")
    if context is not None and prompt + generate > context:
        raise ValueError(
            f"throughput: prompt {prompt} + generate {generate} = {prompt + generate} tokens do not fit this model's context of {context}; "
            "lower throughput.prompt or throughput.generate"
        )


def _from(names: list[str], turn: int) -> list[str]:
    """All names round in their order, every turn from another on and every other turn backwards: none always follows the same one."""
    return [names[(turn + (-step if turn % 2 else step)) % len(names)] for step in range(len(names))]


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
