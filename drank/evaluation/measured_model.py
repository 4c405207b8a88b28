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
    """A model under measurement, where it lies and what it runs on; `started` is the `time.perf_counter()` before it was loaded."""

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
        """What measuring has taken so far."""
        return Taken(str(self.directory), self.model.dtype.itemsize, origin(self.device, self.threads, self.started))


@dataclass(frozen=True)
class Taken:
    """What a measurement took: where the model lies, the bytes of a parameter as it ran, and `provenance.origin` of the measuring."""

    directory: str
    itemsize: int
    origin: dict[str, Any]

    @classmethod
    def together(cls, parts: Sequence[Taken]) -> Taken:
        """What shares of a measurement took: their seconds added, the highest memory, the last date, and every machine.

        Raises ValueError where they were not made with the same packages, device, threads and precision.
        """
        first, told = parts[0], [part.origin for part in parts]
        same = ("drank", "packages", "device", "threads")
        if {(part.directory, part.itemsize) for part in parts} != {(first.directory, first.itemsize)} or any(
            one[key] != told[0][key] for one in told for key in same
        ):
            raise ValueError(
                f"the parts of a measurement of {first.directory} differ in {', '.join(same)} or precision; make the nodes of the run "
                "alike (or say `compute: device`), delete the parts and run again"
            )
        machines = [one["machine"] for one in told]
        names = {key: list(dict.fromkeys(machine[key] for machine in machines if machine[key])) for key in ("cpu", "gpu")}
        together = {
            "machine": machines[0] | {key: " + ".join(found) or None for key, found in names.items()},
            "date": max(one["date"] for one in told),
            "seconds": round(sum(one["seconds"] for one in told), 3),
            "peak_memory_bytes": max(one["peak_memory_bytes"] for one in told),
        }
        return cls(first.directory, first.itemsize, told[0] | together)
