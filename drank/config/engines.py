"""What models cannot be timed in: what vLLM does not run, and forms that a model of transformers does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from drank.config.method_entries import method_of
from drank.config.resolved import entries_for
from drank.evaluation.execution import PLAIN, VLLM
from drank.methods import Method
from drank.models.execution.compiled import COMPILED, said_not_compiled
from drank.models.families import FAMILIES, context_of
from drank.models.sources import SourceError, directory_of
from drank.models.theirs import rounds
from drank.models.weights import Checkpoint

ENGINE = f"throughput.engine is {VLLM}"


def engine_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """A line for all that a configuration asks of what runs the timed models and it cannot do; nothing for models that are not here yet."""
    timed = config.get("throughput", {})
    served = timed.get("engine") == VLLM
    if served and timed["variants"] != [PLAIN]:
        yield f"{ENGINE}, which joins, compiles and packs products by itself; leave variants out, which are forms of transformers' models"
        return
    compiled = [variant for variant in timed.get("variants", []) if variant in COMPILED]
    for model, source in config["models"].items():
        with suppress(SourceError, OSError, KeyError, ValueError, TypeError):  # which other checks tell
            checkpoint = Checkpoint(directory_of(source))
            if served:
                yield from (f"models.{model}: {fault}" for fault in _unserved(config, model, checkpoint))
            elif compiled and (reason := said_not_compiled(checkpoint.config)):
                yield (
                    f"models.{model}: throughput.variants has {', '.join(compiled)}, which a {checkpoint.model_type} model cannot run: "
                    f"{reason}; leave it to plain and fused, or give this model a configuration of its own"
                )


def _unserved(config: Mapping[str, Any], model: str, checkpoint: Checkpoint) -> Iterator[str]:
    """What of a model vLLM cannot time."""
    timed = config["throughput"]
    family, context = FAMILIES.get(checkpoint.model_type), context_of(checkpoint.config)
    if context == timed["prompt"] + timed["generate"]:
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
