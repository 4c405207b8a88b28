"""What the three measurements have in common: the model that they measure, loaded as the configuration says, and what that took."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.models.checkpoint import load_model
from drank.models.sources import Places, model_directory
from drank.runtime.device import prepare
from drank.runtime.provenance import origin

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass
class MeasuredModel:
    """A model under measurement, where it lies and what it runs on; `started` is the `time.perf_counter()` of when its time began."""

    directory: Path
    model: PreTrainedModel
    device: str
    threads: int
    started: float

    @classmethod
    def of(cls, path: str | Path, compute: Mapping[str, Any], threads: int, places: Places | None = None) -> MeasuredModel:
        """The model at a path, a source file's at its place, loaded in the precision and on the device of `compute`."""
        started = time.perf_counter()
        device = prepare(compute, threads)
        directory = model_directory(path, places)
        return cls(directory, load_model(directory, compute["dtype"], device), device, threads, started)

    def taken(self) -> Taken:
        """What measuring has taken since this was asked last, the first time with the loading of the model."""
        taken = Taken(self.model.dtype.itemsize, origin(self.device, self.threads, self.started))
        self.started = time.perf_counter()
        return taken


@dataclass(frozen=True)
class Taken:
    """What measuring took: the bytes of a parameter as the model ran, and `provenance.origin` of the measuring."""

    itemsize: int
    origin: dict[str, Any]

    @classmethod
    def together(cls, parts: Sequence[Taken], *, at_once: bool = False) -> Taken:
        """What parts that computed alike took: seconds added, the highest memory, every machine, and all else as of the last.

        Of parts `at_once` the seconds are the same ones: those of the longest.
        """
        told = sorted((part.origin for part in parts), key=lambda origin: origin["date"])
        machines = [one["machine"] for one in told]
        names = {key: list(dict.fromkeys(machine[key] for machine in machines if machine[key])) for key in ("cpu", "gpu")}
        together = {
            "machine": machines[-1] | {key: " + ".join(found) or None for key, found in names.items()},
            "seconds": round((max if at_once else sum)(one["seconds"] for one in told), 3),
            "peak_memory_bytes": max(one["peak_memory_bytes"] for one in told),
        }
        return cls(parts[0].itemsize, told[-1] | together)

    def beside(self, whole: Taken) -> dict[str, Any]:
        """When, how long and with how much memory this was measured, and in what else it differs from what it is a part of."""
        always = ("date", "seconds", "peak_memory_bytes")
        return {key: value for key, value in self.origin.items() if key in always or value != whole.origin[key]}
