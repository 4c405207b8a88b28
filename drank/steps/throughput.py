"""Time prefill and decoding of models in one job: in turn where memory holds them all, else one after the other."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

from drank.corpora.beginnings import WINDOW, convention_in
from drank.corpora.encoding import prompt_opening
from drank.evaluation.ceilings import Ceilings
from drank.evaluation.execution import PLAIN, VLLM, labelled, prepared
from drank.evaluation.lineup import Lineup
from drank.evaluation.measured_model import MeasuredModel, Taken
from drank.evaluation.measurement import Measurement
from drank.evaluation.other_load import load_average, settled
from drank.evaluation.rates import comparable, in_variant, rows_of, rows_of_threads, tokens_of
from drank.evaluation.served.runner import Served
from drank.evaluation.served.workload import Workload
from drank.evaluation.throughput import check_cores, measure, take_turns
from drank.evaluation.timing import PHASES, Machine, Timing
from drank.evaluation.twins import control
from drank.models.execution.compiled import COMPILED, PREPACKED, not_prepacked
from drank.models.sources import Places
from drank.models.theirs import Theirs
from drank.reporting.records.subject import Subject
from drank.runtime.device import free_memory, prepare
from drank.runtime.files import replacing
from drank.statistics.intervals import Interval

log = logging.getLogger(__name__)

SHARE = 0.5
"""The part of the memory that the weights of models timed in turn may take; the rest is for loading one, its activations and cache."""

IN_TURN = "in turn"
"""The order in which models are timed where memory holds them all."""

PROCESS = 1_200_000_000
"""Bytes that an engine of vLLM has beside weights, keys and values: libraries of a process of its own, and compiled code."""


class Timed(NamedTuple):
    """The timing of one model, how it was run, as a record tells it, and what measuring it took."""

    timing: Timing
    execution: Mapping[str, Any]
    taken: Taken


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
    order and what gave the noise is `detail.job` of the records, with the ceilings of the machine and the load of others by round. Where
    other work would hold up several threads, all models are timed with one.

    Raises ValueError for fewer cores than threads, a variant that the device does not have, and where vLLM is to run and no Python has it.
    """
    check_cores(threads)
    lineup, device = Lineup.of(models, beside, places), prepare(compute, threads)
    if PREPACKED in throughput.get("variants", []) and (reason := not_prepacked(device)):  # of `auto` nobody knows before
        raise ValueError(f"throughput.variants has {PREPACKED}, and this job computes on {device}: {reason}; leave it out")
    used, before = settled(threads, device)  # before any round: with as many for all, or their ratios would say nothing
    prepare(compute, used)  # the ceilings too
    timed, together = _timed(lineup, throughput, {**compute, "device": device, "threads": used}, memory_mb)
    job: dict[str, Any] = {"order": IN_TURN if together else "one after the other", "timed": [*timed], "reference": lineup.reference}
    job |= {"twins": lineup.twins, "threads_asked": threads, "other_load_before": before, "load_average": load_average()}
    foreign = theirs or {}
    with replacing(output) as folder:
        folder.mkdir()
        for method, path in models.items():
            found = _measurement(method, lineup, timed, throughput, {**job, "threads": used})
            other = Theirs.of(path, beside, places) if beside and method in foreign else None
            subject = Subject(lineup.directories[method], {**names, "method": method}, foreign.get(method, dense), other)
            subject.record(found).write(folder / f"{method}.json")


def _timed(
    lineup: Lineup, throughput: Mapping[str, Any], compute: Mapping[str, Any], memory_mb: int | None
) -> tuple[dict[str, Timed], bool]:
    """What timing found of all models and variants, by label, and whether memory held them together, so that they took turns."""
    variants, first = throughput.get("variants", [PLAIN]), _beginning(lineup, throughput)
    sizes = {key: value for key, value in throughput.items() if key not in ("bos", "variants", "engine")}
    served = lineup.directories if throughput.get("engine") == VLLM else {}
    works = {name: Workload(directory, sizes, first, compute["dtype"]) for name, directory in served.items()}
    beside = sum(PROCESS + work.room for work in works.values())
    if compiled := [variant for variant in variants if variant in COMPILED]:  # which keep their caches from round to round
        beside += len(compiled) * lineup.caches(sizes, compute["dtype"])
    together = _fits(lineup, compute, variants, beside, memory_mb)
    sizes |= {"first": first, "ceilings": Ceilings.of(compute["device"], compute["dtype"])}
    entries = {labelled(name, variant): (lineup.directories[name], variant) for name in lineup.paths for variant in variants}
    found = dict[str, Timed]()
    for batch in [entries] if together else [{label: entry} for label, entry in entries.items()]:
        found |= _served({name: works[name] for name in batch}, sizes, compute) if works else _loaded(batch, sizes, compute)
    return found, together


def _measurement(
    method: str, lineup: Lineup, timed: Mapping[str, Timed], throughput: Mapping[str, Any], job: Mapping[str, Any]
) -> Measurement:
    """What timing found of one model in all its variants; `job` is what a record says of all that were timed with it."""
    own = {variant: timed[labelled(method, variant)] for variant in throughput.get("variants", [PLAIN])}
    machine, in_turn = Machine.together(one.timing for one in own.values()), job["order"] == IN_TURN
    rows = rows_of_threads(machine, job["threads"], job["threads_asked"], in_turn=in_turn, by_vllm=throughput.get("engine") == VLLM)
    detail: dict[str, Any] = {"job": {**job, "ceilings": machine.ceilings, "other_load": machine.other}}
    for variant, one in own.items():
        base = None if lineup.reference in (None, method) else timed[labelled(str(lineup.reference), variant)].timing
        noise = _noise(lineup.twins.values(), timed, variant, in_turn)
        rows += in_variant(rows_of(one.timing, tokens_of(throughput), base, noise, in_turn=in_turn), variant)
        detail |= _detail(one, variant)
    taken = Taken.together([one.taken for one in own.values()], at_once=in_turn)
    return Measurement("throughput", rows, detail, taken, throughput)


def _noise(twins: Iterable[Sequence[str]], timed: Mapping[str, Timed], variant: str, in_turn: bool) -> dict[str, Interval]:
    """By phase what models that compute the same differ by in a variant; nothing where there are no twins."""
    pairs = [[labelled(name, variant) for name in names] for names in twins]
    seconds = {phase: {name: comparable(one.timing.seconds[phase], in_turn) for name, one in timed.items()} for phase in PHASES}
    return {phase: control(pairs, found) for phase, found in seconds.items() if pairs}


def _detail(one: Timed, variant: str) -> dict[str, Any]:
    """What a record tells of one model: the seconds of each phase and of each token that was decoded by round, and how it was run."""
    told: dict[str, Any] = {labelled(phase, variant): {"seconds": seconds} for phase, seconds in one.timing.seconds.items()}
    told[labelled("decode", variant)]["steps"] = one.timing.steps
    return told | {labelled("execution", variant): dict(one.execution)}


def _beginning(lineup: Lineup, throughput: Mapping[str, Any]) -> int | None:
    """The token that begins every prompt: that of the dense model's tokenizer, where the convention puts one before every window."""
    from drank.models.checkpoint import load_tokenizer

    if convention_in(throughput) != WINDOW:
        return None
    directory = lineup.directories.get(lineup.reference or "", next(iter(lineup.directories.values())))
    return prompt_opening(load_tokenizer(directory), WINDOW)[0]


def _fits(lineup: Lineup, compute: Mapping[str, Any], variants: Sequence[str], beside: int, memory_mb: int | None) -> bool:
    """Whether the weights of all, once for each variant and for one that packs them twice, leave room enough where they would lie.

    `beside` are bytes that processes of engines, and caches that are kept, take beside.
    """
    import torch

    room = free_memory(compute["device"])
    if memory_mb is not None and not compute["device"].startswith("cuda"):
        room = min(room, memory_mb * 10**6)
    copies = len(variants) + variants.count(PREPACKED)
    needed = copies * lineup.weights(getattr(torch, compute["dtype"]).itemsize) / SHARE + beside
    if needed > room:
        log.warning(
            "throughput: all models at once would take %.1f GB, and there are %.1f: they are timed one after the other, and compared "
            "across times; compute.memory_mb says how much a job may take",
            needed / 1e9,
            room / 1e9,
        )
    return needed <= room


def _loaded(entries: Mapping[str, tuple[Path, str]], sizes: Mapping[str, Any], compute: Mapping[str, Any]) -> dict[str, Timed]:
    """What timing found by label, of models, each a directory and a variant, that transformers runs, together in memory meanwhile."""
    gc.collect()  # models that ran before hold themselves by the forward that was put in
    subjects = {label: MeasuredModel.of(path, compute, compute["threads"]) for label, (path, _) in entries.items()}
    timings = measure({label: prepared(subjects[label].model, variant) for label, (_, variant) in entries.items()}, **sizes)
    return {label: Timed(timings[label], subject.model.execution.told(), subject.taken()) for label, subject in subjects.items()}


def _served(works: Mapping[str, Workload], sizes: Mapping[str, Any], compute: Mapping[str, Any]) -> dict[str, Timed]:
    """The same by name of models that vLLM runs, each in a process of its own; all of these end."""
    import torch

    started, itemsize = time.perf_counter(), getattr(torch, compute["dtype"]).itemsize
    with ExitStack() as stack:
        runners = dict[str, Served]()
        for name, work in works.items():
            runners[name] = stack.enter_context(closing(Served(name, work, compute)))
        timings = take_turns(runners, sizes["repeats"], sizes["ceilings"])
        return {name: Timed(timings[name], runner.execution(), runner.taken(itemsize, started)) for name, runner in runners.items()}
