"""Time prefill and decoding of models in one process: in turn where memory holds them all, else one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.corpora.beginnings import WINDOW, convention_in
from drank.corpora.encoding import prompt_opening
from drank.evaluation.lineup import Lineup
from drank.evaluation.measured_model import MeasuredModel, Taken
from drank.evaluation.measurement import Measurement
from drank.evaluation.rates import rows_of, speed
from drank.evaluation.throughput import PHASES, Timing, check_cores, measure
from drank.evaluation.twins import noise_ratio
from drank.models.sources import Places
from drank.models.theirs import Theirs
from drank.reporting.records.subject import Subject
from drank.runtime.device import free_memory, prepare
from drank.runtime.files import replacing

SHARE = 0.5
"""The part of the memory that the weights of models timed in turn may take; the rest is for loading one, its activations and cache."""


def run(
    output: str | Path,
    *,
    names: Mapping[str, str],
    models: Mapping[str, str],
    throughput: Mapping[str, Any],
    dense: Mapping[str, Any] | None,
    theirs: Mapping[str, Mapping[str, Any]] | None = None,
    places: Places,
    beside: str | None = None,
    compute: Mapping[str, Any],
    threads: int,
    memory_mb: int | None = None,
) -> None:
    """Write a folder with the record of each of the models, given by method; `names` gives their model and ratio.

    `dense` is what a record says of the method of a model that no plan made, `theirs` the same by method of somebody else's checkpoints,
    and `beside` the source file of the dense model that all are compared with: it is timed with them, so that no speedup is one across
    processes. `memory_mb` is what the job may take of the host's memory, where that is less than what is free. What was timed, in which
    order and what gave the noise is `detail.job` of the records.

    Raises ValueError where there are fewer cores than threads.
    """
    check_cores(threads)
    lineup = Lineup.of(models, beside, places)
    together = _fits(lineup, compute, threads, memory_mb)
    timings: dict[str, Timing] = {}
    taken: dict[str, Taken] = {}
    sizes, first = {key: value for key, value in throughput.items() if key != "bos"}, _beginning(lineup, throughput)
    for batch in [lineup.paths] if together else [{name: path} for name, path in lineup.paths.items()]:
        for name, (timing, took) in _timed(batch, {**sizes, "first": first}, compute, threads, places).items():
            timings[name], taken[name] = timing, took
    reference, twins = lineup.reference, lineup.twins
    job = {"order": "in turn" if together else "one after the other", "timed": [*timings], "reference": reference, "twins": twins}
    base = timings[reference] if reference is not None else None
    noise = {
        phase: noise_ratio(twins.values(), {name: speed(one, phase, base) for name, one in timings.items()}) for phase in PHASES if twins
    }
    tokens = {"prefill": throughput["batch"] * throughput["prompt"], "decode": throughput["batch"] * throughput["generate"]}
    foreign = theirs or {}
    with replacing(output) as folder:
        folder.mkdir()
        for method, path in models.items():
            rows = rows_of(timings[method], tokens, None if method == reference else base, noise)
            detail: dict[str, Any] = {phase: {"seconds": seconds} for phase, seconds in timings[method].seconds.items()} | {"job": job}
            other = Theirs.of(path, beside, places) if beside and method in foreign else None
            subject = Subject(lineup.directories[method], {**names, "method": method}, foreign.get(method, dense), other)
            found = Measurement("throughput", rows, detail, taken[method], throughput)
            subject.record(found).write(folder / f"{method}.json")


def _beginning(lineup: Lineup, throughput: Mapping[str, Any]) -> int | None:
    """The token that begins every prompt: that of the dense model's tokenizer, where the convention puts one before every window."""
    from drank.models.checkpoint import load_tokenizer

    if convention_in(throughput) != WINDOW:
        return None
    directory = lineup.directories.get(lineup.reference or "", next(iter(lineup.directories.values())))
    return prompt_opening(load_tokenizer(directory), WINDOW)[0]


def _fits(lineup: Lineup, compute: Mapping[str, Any], threads: int, memory_mb: int | None) -> bool:
    """Whether the weights of all leave room enough where they would lie."""
    import torch

    device = prepare(compute, threads)
    room = free_memory(device)
    if memory_mb is not None and not device.startswith("cuda"):
        room = min(room, memory_mb * 10**6)
    return lineup.weights(getattr(torch, compute["dtype"]).itemsize) <= SHARE * room


def _timed(
    paths: Mapping[str, str], sizes: Mapping[str, Any], compute: Mapping[str, Any], threads: int, places: Places
) -> dict[str, tuple[Timing, Taken]]:
    """Timing and what it took by name, of models that are in memory together; they are gone when this is done."""
    subjects = {name: MeasuredModel.of(path, compute, threads, places) for name, path in paths.items()}
    timings = measure({name: subject.model for name, subject in subjects.items()}, **sizes)
    return {name: (timings[name], subject.taken()) for name, subject in subjects.items()}
