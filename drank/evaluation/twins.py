"""Twins: models that compute the same, tensor for tensor of one shape, so that what their timings differ by is noise."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from drank.models.description import quantised_by
from drank.models.tensors import stored_tensors
from drank.runtime.files import read_json


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


def noise_ratio(twins: Iterable[Iterable[str]], speeds: Mapping[str, float]) -> float:
    """The noise floor: the largest ratio, 1 or more, between the speeds of two models that compute the same."""
    found = [[speeds[name] for name in names] for names in twins]
    return max(max(of_one) / min(of_one) for of_one in found)
