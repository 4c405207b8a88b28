"""What the three measurements have in common: the model they load and the record they write."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.allocation.plan import Plan
from drank.models.checkpoint import load_model
from drank.models.sources import model_directory
from drank.models.tensors import size_of
from drank.reporting.records import Record, Result, Size, provenance
from drank.steps.device import device_name, prepare
from drank.steps.files import file_hash

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass
class Evaluation:
    """One measurement of one model under way."""

    directory: Path
    model: PreTrainedModel
    device: str
    threads: int
    started: float

    @classmethod
    def of(cls, path: str | Path, compute: Mapping[str, Any], threads: int) -> Evaluation:
        """The model at a path, loaded in the precision and on the device of `compute`."""
        started = time.perf_counter()
        device = prepare(compute, threads)
        directory = model_directory(path)
        return cls(directory, load_model(directory, compute["dtype"], device), device, threads, started)

    def record(
        self,
        kind: str,
        label: Mapping[str, str],
        rows: list[dict[str, Any]],
        detail: dict[str, Any],
        settings: Mapping[str, Any],
        inputs: Mapping[str, str],
    ) -> Record:
        """The record of this measurement from its rows, the fields of `Result`.

        `label` gives model, method and ratio, `inputs` the SHA-256 of what was read besides the model.
        """
        results = tuple(Result(**row) for row in rows)
        stored = size_of(self.directory)
        size = Size(stored.parameters, stored.parameters * self.model.dtype.itemsize, stored.ratio_stored, stored.ratio_model)
        hashes = {"model": file_hash(self.directory), **inputs}
        made = self.directory / "plan.json"
        plan = Plan.read(made) if made.is_file() else None
        how = {} if plan is None else {"method": plan.settings, "calibration": plan.calibration}
        origin = provenance({**settings, **how}, hashes, self.started, device_name(self.device), self.threads)
        return Record(kind, label["model"], label["method"], float(label["ratio"]), size, results, detail, origin)
