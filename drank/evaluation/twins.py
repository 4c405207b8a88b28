"""Twins: models that compute the same, tensor for tensor of one shape, so that what their timings differ by is noise."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from drank.models.description import quantised_by
from drank.models.tensors import stored_tensors
from drank.runtime.files import read_json
from drank.statistics.intervals import LEVEL, Interval
from drank.statistics.medians import median_interval


def shapes_hash(directory: str | Path) -> str:
    """A SHA-256 of the names, shapes and types of all tensors that a model directory stores, and of how another quantiser packed them.

    Models of one architecture that agree in it have the same ranks and the same storage in every group. Raises CheckpointError for files
    that are missing or broken.
    """
    config = read_json(Path(directory) / "config.json")
    packed = config["quantization_config"] if quantised_by(config) else None
    tensors = [[name, tensor.dtype, list(tensor.shape)] for name, tensor in sorted(stored_tensors(directory).items())]
    return hashlib.sha256(json.dumps([config["model_type"], packed, tensors], sort_keys=True).encode()).hexdigest()


def twins_of(hashes: Mapping[str, str]) -> dict[str, list[str]]:
    """By hash the names of the models that share it, of those hashes that several have."""
    found: dict[str, list[str]] = {}
    for name, shapes in hashes.items():
        found.setdefault(shapes, []).append(name)
    return {shapes: names for shapes, names in found.items() if len(names) > 1}


def control(twins: Iterable[Iterable[str]], seconds: Mapping[str, Sequence[float]]) -> Interval:
    """The noise floor: the largest ratio, 1 or more, between the times of two models that compute the same, paired by round.

    Each pair has the median of its ratios and an interval, at 95 % of all pairs together; of each end the largest comes back. So the
    models of every pair come out equal within the interval unless the lower end is above 1. The ends are NaN where there are too few
    rounds. ValueError where there are no pairs.
    """
    pairs = [pair for names in twins for pair in combinations(names, 2)]
    if not pairs:
        raise ValueError("no two of these models compute the same, so that there is nothing to tell the noise by")
    found = [_apart(seconds[one], seconds[two], 1 - (1 - LEVEL) / len(pairs)) for one, two in pairs]
    return Interval(*(max(ends) for ends in zip(*found, strict=True)))


def _apart(one: Sequence[float], two: Sequence[float], level: float) -> Interval:
    """By what factor the slower of two takes longer, round by round."""
    ratios = [a / b for a, b in zip(one, two, strict=True)]
    return median_interval(ratios if statistics.median(ratios) >= 1 else [1 / ratio for ratio in ratios], level)
