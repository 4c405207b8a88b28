"""What vLLM cannot be asked for where it runs the models that are timed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from drank.config.method_entries import method_of
from drank.config.resolved import entries_for
from drank.evaluation.execution import PLAIN, VLLM
from drank.methods import Method
from drank.models.families import FAMILIES, context_of
from drank.models.sources import SourceError, directory_of
from drank.models.theirs import rounds
from drank.models.weights import Checkpoint

ENGINE = f"throughput.engine is {VLLM}"


def engine_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """A line for all that a configuration asks of vLLM and it cannot do; nothing for models that are not here yet."""
    timed = config.get("throughput", {})
    if timed.get("engine") != VLLM:
        return
    if timed["variants"] != [PLAIN]:
        yield f"{ENGINE}, which joins, compiles and packs products by itself; leave variants out, which are forms of transformers' models"
    for model in config["models"]:
        with suppress(SourceError, OSError, KeyError, ValueError, TypeError):  # which other checks tell
            yield from (f"models.{model}: {fault}" for fault in _faults(config, model, timed["prompt"] + timed["generate"]))


def _faults(config: Mapping[str, Any], model: str, tokens: int) -> Iterator[str]:
    checkpoint = Checkpoint(directory_of(config["models"][model]))
    family, context = FAMILIES.get(checkpoint.model_type), context_of(checkpoint.config)
    if context == tokens:
        yield f"{ENGINE}, which counts the token that comes last: prompt + generate + 1 is past the context of {context} tokens; lower one"
    methods = dict(_methods(config, model))
    compressing = [label for label, method in methods.items() if method.compresses]
    if family and family.mixture and compressing:
        yield (
            f"{ENGINE}, which holds the experts of a mixture as one tensor and cannot run what {', '.join(compressing)} makes of them; "
            "leave engine out, or give this model a configuration of its own"
        )
    rounded = [label for label, method in methods.items() if rounds(method.checkpoint)]
    if rounded and not config["compute"]["device"].startswith("cuda"):
        yield f"{ENGINE}, which multiplies weights of few bits on a GPU alone; leave {', '.join(rounded)} out, or set compute.device: cuda"


def _methods(config: Mapping[str, Any], model: str) -> Iterator[tuple[str, Method]]:
    """The methods of a model by label; those that are wrong are told elsewhere."""
    for label, options in entries_for(config, model).items():
        with suppress(ValueError, TypeError):
            yield label, method_of(label, options)
