"""Synthetic records: numbers that look like a run, made from a seed, for the tests of what reads records."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from drank.allocation.plan import Plan
from drank.methods import METHODS as KNOWN
from drank.models.groups import Group, Shape
from drank.reporting.records import Record, Result, Size

CORPORA = {"python-docs": 2.30, "python-reference": 2.75, "python-code": 3.05}
TASKS = {"continuation": 0.62, "function-of-summary": 0.55, "parameter-description": 0.50, "section-heading": 0.58}
CHANCE = 0.25
METHODS = ("dense", "full-rank", "random-ranks", "svd", "svd-llm", "basis-sharing", "d-rank")
DAMAGE = {"dense": 0.0, "full-rank": 0.0, "svd": 6.0, "random-ranks": 2.4, "svd-llm": 1.2, "basis-sharing": 1.05, "d-rank": 0.85}
ROLES = {"q": (192, 192), "k": (192, 192), "v": (192, 192), "o": (192, 192), "gate": (192, 512), "up": (192, 512), "down": (512, 192)}
SHA = "0" * 64
NOISE = {"prefill": 1.04, "decode": 1.06}


def size_of(method: str, ratio: float) -> Size:
    """A plausible size."""
    parameters = int(6_000_000 * (1 - 0.8 * ratio))
    return Size(parameters, 2 * parameters, 0.0 if method == "dense" else ratio + 0.0003, 0.8 * ratio)


def provenance_of(method: str = "svd-llm", ratio: float = 0.0, **settings: Any) -> dict[str, Any]:
    """Provenance of a run that never was."""
    recipe = KNOWN.get(method, KNOWN["svd-llm"])
    text = {"corpus": "python-docs", "split": "train", "windows": 128, "length": 256, "seed": 13, "batch": 8, "text_sha256": SHA}
    return {
        "drank": "0.1.0",
        "git": {"commit": "c0ffee" + "0" * 34, "dirty": False},
        "packages": {"python": "3.11.7", "torch": "2.13.0"},
        "platform": "Linux-test",
        "machine": {"cpu": "Test CPU", "cores": 2, "memory_bytes": 2**34, "gpu": None},
        "date": "2026-01-02T03:04:05+00:00",
        "device": "cpu",
        "threads": 2,
        "settings": settings,
        "method": recipe.settings(ratio),
        "calibration": text if recipe.compresses else None,
        "making": {"seconds": 7.5, "stages": {"factors": 1.5}, "texts": {}} if recipe.compresses else None,
        "inputs": {"model": SHA, "text": SHA},
        "seconds": 12.5,
        "peak_memory_bytes": 800_000_000,
    }


def _random(*names: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32("/".join(map(str, names)).encode()))


@cache
def perplexity_record(model: str, method: str, ratio: float, windows: int = 48, damage: float | None = None) -> Record:
    """Perplexity on all corpora; the windows of a corpus are equally hard for every method."""
    from drank.statistics.intervals import perplexity_interval

    results, detail = [], {}
    for corpus, base in CORPORA.items():
        hard = _random(model, corpus).normal(0, 0.25, windows)
        hurt = ratio**1.6 * (DAMAGE.get(method, 1.0) if damage is None else damage)
        loss = 511 * (base + hard + hurt * (1 + _random(corpus, method, ratio).normal(0, 0.12, windows)))
        tokens = np.full(windows, 511)
        results.append(Result(corpus, "perplexity", *perplexity_interval(loss, tokens), count=int(tokens.sum())))
        results.append(Result(corpus, "perplexity_window_mean", float(np.exp((loss / tokens).mean())), count=int(tokens.sum())))
        detail[corpus] = {"window_loss": loss.tolist(), "window_tokens": tokens.tolist(), "text_sha256": SHA, "tokens_sha256": SHA}
    return Record(
        "perplexity", model, method, ratio, size_of(method, ratio), tuple(results), detail, provenance_of(method, ratio, windows=windows)
    )


@cache
def zeroshot_record(model: str, method: str, ratio: float, items: int = 400) -> Record:
    """Accuracy on all tasks and their average."""
    results, detail = [], {}
    for task, dense in TASKS.items():
        level = CHANCE + (dense - CHANCE) * math.exp(-1.5 * ratio * DAMAGE.get(method, 1.0))
        correct = (_random(model, task).random(items) < level).astype(int)
        value, stderr = float(correct.mean()), float(correct.std(ddof=1) / math.sqrt(items))
        results.append(Result(task, "accuracy", value, value - 1.96 * stderr, value + 1.96 * stderr, items, stderr, CHANCE))
        detail[task] = {"version": 1.0, "correct": correct.tolist()}
    value, stderr = sum(row.value for row in results) / len(TASKS), math.hypot(*(row.stderr or 0 for row in results)) / len(TASKS)
    results.append(Result("average", "accuracy", value, value - 1.96 * stderr, value + 1.96 * stderr, items * len(TASKS), stderr, CHANCE))
    return Record("zeroshot", model, method, ratio, size_of(method, ratio), tuple(results), detail, provenance_of(method, ratio))


def speed_of(model: str, method: str, ratio: float, phase: str) -> float:
    """Speed over that of dense, 1 for dense itself."""
    gain = 1 + 0.9 * ratio - (0.1 if method in ("basis-sharing", "d-rank") else 0)
    return 1.0 if method == "dense" else gain * float(_random(model, method, ratio, phase).normal(1, 0.02))


@cache
def throughput_record(model: str, method: str, ratio: float) -> Record:
    """Tokens per second of both phases and over those of dense, the noise of the job, and the memory of the model's own."""
    rows = []
    for phase, dense in {"prefill": 9000.0, "decode": 420.0}.items():
        speed = speed_of(model, method, ratio, phase)
        told = {"tokens_per_second": dense * speed} | ({} if method == "dense" else {"speedup_over_dense": speed})
        rows += [Result(phase, metric, value, value * 0.96, value * 1.03, 9) for metric, value in told.items()]
        rows.append(Result(phase, "noise_ratio", NOISE[phase] - 0.01 * (ratio > 0.3), 0.98, 1.1, count=9))
        seconds = {"prefill": {"time_to_first_token": 512}, "decode": {"time_per_token": 4, "time_per_token_p90": 4.4}}[phase]
        rows += [Result(phase, metric, tokens / dense / speed, count=9) for metric, tokens in seconds.items()]
        rows.append(Result(phase, "roofline_share", 0.6 * speed, 0.55 * speed, 0.62 * speed, 9))
    rows.append(Result("decode", "operations_per_token", 2.0 * size_of(method, ratio).parameters))
    rows += [Result("machine", metric, value) for metric, value in {"threads": 1, "threads_asked": 1, "other_load": 0.02}.items()]
    held = size_of(method, ratio).bytes
    rows += [Result("memory", name, held * share) for name, share in {"model_bytes": 2, "weight_bytes": 1.8, "cache_bytes": 0.5}.items()]
    rows.append(Result("memory", "peak_tensor_bytes", held * 3.0))
    detail = {"prefill": {"seconds": [1.0]}, "job": {"order": "in turn"}}
    return Record("throughput", model, method, ratio, size_of(method, ratio), tuple(rows), detail, provenance_of(method, ratio))


KINDS = {"perplexity": perplexity_record, "zeroshot": zeroshot_record, "throughput": throughput_record}


def all_records(
    models: Sequence[str] = ("docs-mha", "docs-gqa"),
    methods: Sequence[str] = METHODS,
    ratios: Sequence[float] = (0.2, 0.4),
    kinds: Sequence[str] = tuple(KINDS),
) -> list[Record]:
    """The records of a whole run."""
    at = {method: (0.0,) if method in ("dense", "full-rank") else tuple(ratios) for method in methods}
    return [KINDS[kind](model, method, ratio) for kind in kinds for model in models for method in methods for ratio in at[method]]


def make_plan(model: str, method: str, ratio: float, layers: int = 8, group: int = 2) -> Plan:
    """A plan with uniform ranks, or with ranks that grow to the middle of the model where the method is dynamic."""
    groups = []
    for role, (rows, columns) in ROLES.items():
        size = group if role in ("q", "k", "v", "gate", "up") else 1
        for first in range(0, layers, size):
            shape = Shape(role, tuple(range(first, first + size)), rows, columns)
            bend = 1 + 0.35 * math.sin(math.pi * (first + 0.5) / layers) - 0.22 if method in ("d-rank", "random-ranks") else 1
            shift = {"q": 0.7, "k": 0.7, "v": 1.6}.get(role, 1.0) if method == "d-rank" else 1
            groups.append(Group(shape, effective_rank(role, first, layers), max(1, int((1 - ratio) * shape.break_even * bend * shift))))
    return Plan(model, method, ratio, {"group": group}, tuple(groups))


def effective_rank(role: str, layer: int, layers: int) -> float:
    """An effective rank that depends on role and depth."""
    level = {"q": 6, "k": 5, "v": 60, "o": 35, "gate": 90, "up": 120, "down": 80}[role]
    return level * (0.5 + math.sin(math.pi * (layer + 1) / (layers + 1)))


def make_spectrum(model: str, group: int = 2, layers: int = 8) -> dict[str, Any]:
    """The JSON of a spectrum."""
    groups = make_plan(model, "d-rank", 0.2, layers, group).groups
    rows = [
        {
            "group": found.shape.name,
            "role": found.shape.role,
            "layers": list(found.shape.layers),
            "rows": found.shape.rows,
            "columns": found.shape.columns,
            "effective_rank": found.effective_rank,
            "max_rank": found.shape.max_rank,
        }
        for found in groups
    ]
    return {"model": model, "spectrum": f"whitening-n{group}", "weighting": "whitening", "group": group, "groups": rows}
