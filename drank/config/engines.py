"""What models cannot be timed in: what vLLM does not run, and forms that a model of transformers does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from drank.config.method_entries import method_of
from drank.config.resolved import entries_for
from drank.evaluation.execution import PLAIN, VLLM
from drank.methods import Method
from drank.models.description import is_compressed
from drank.models.execution.compiled import COMPILED, PACKED, PREPACKED, not_prepacked, said_not_compiled
from drank.models.families import FAMILIES, context_of
from drank.models.sources import SourceError, directory_of
from drank.models.theirs import rounds
from drank.models.weights import Checkpoint

ENGINE = f"throughput.engine is {VLLM}"


def engine_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """A line for all that a configuration asks of what runs the timed models and it cannot do; nothing for models that are not here yet."""
    if "throughput" not in config:
        return
    timed = config["throughput"]
    if timed["engine"] == VLLM and timed["variants"] != [PLAIN]:
        yield f"{ENGINE}, which joins, compiles and packs products by itself; leave variants out, which are forms of transformers' models"
        return
    device = config["compute"]["device"]
    if PREPACKED in timed["variants"] and (reason := not_prepacked(device)):
        yield f"throughput.variants has {PREPACKED}, and compute.device is {device}: {reason}; leave it out"
    for model in config["models"]:
        yield from (f"models.{model}: {fault}" for fault in faults_of_timing(config, model))


def faults_of_timing(config: Mapping[str, Any], model: str) -> Iterator[str]:
    """The same of one model alone."""
    with suppress(SourceError, OSError, KeyError, ValueError, TypeError):  # which other checks tell
        checkpoint = Checkpoint(directory_of(config["models"][model]))
        yield from (_unserved if config["throughput"]["engine"] == VLLM else _uncompiled)(config, model, checkpoint)


def _uncompiled(config: Mapping[str, Any], model: str, checkpoint: Checkpoint) -> Iterator[str]:
    """What of a model cannot run in a variant that compiles decoding."""
    compiled = ", ".join(variant for variant in config["throughput"]["variants"] if variant in COMPILED)
    if not compiled:
        return
    if reason := said_not_compiled(checkpoint.config):
        yield (
            f"throughput.variants has {compiled}, which a {checkpoint.model_type} model cannot run: {reason}; leave it to plain and fused, "
            "or give this model a configuration of its own"
        )
    if rounded := ", ".join(label for label, method in _methods(config, model) if rounds(method.checkpoint)):
        yield f"throughput.variants has {compiled}, which {rounded} cannot run: {PACKED}; leave out the one or the other"


def _unserved(config: Mapping[str, Any], model: str, checkpoint: Checkpoint) -> Iterator[str]:
    """What of a model vLLM cannot time."""
    timed = config["throughput"]
    family, context = FAMILIES.get(checkpoint.model_type), context_of(checkpoint.config)
    if context == timed["prompt"] + timed["generate"]:
        yield f"{ENGINE}, which counts the token that comes last: prompt + generate + 1 is past the context of {context} tokens; lower one"
    methods = dict(_methods(config, model))
    compressing = [label for label, method in methods.items() if method.compresses]
    compressing += ["drank"] if is_compressed(checkpoint.config.get("quantization_config")) else []
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
