"""What the three measurements have in common: the model that they measure, loaded as the configuration says."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.models.checkpoint import load_model
from drank.models.sources import model_directory
from drank.runtime.device import prepare

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass
class MeasuredModel:
    """A model under measurement, where it lies and what it runs on; `started` is the `time.perf_counter()` before it was loaded."""

    directory: Path
    model: PreTrainedModel
    device: str
    threads: int
    started: float

    @classmethod
    def of(cls, path: str | Path, compute: Mapping[str, Any], threads: int) -> MeasuredModel:
        """The model at a path, loaded in the precision and on the device of `compute`."""
        started = time.perf_counter()
        device = prepare(compute, threads)
        directory = model_directory(path)
        return cls(directory, load_model(directory, compute["dtype"], device), device, threads, started)
