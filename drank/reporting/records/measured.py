"""The record of a measurement that has just been made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drank.allocation.plan import Plan
from drank.models.tensors import size_of
from drank.reporting.records import Record, Result, Size
from drank.reporting.records.provenance import provenance
from drank.steps.device import device_name
from drank.steps.files import file_hash

if TYPE_CHECKING:
    from drank.evaluation.subject import Subject


def record_of(
    subject: Subject,
    kind: str,
    label: Mapping[str, str],
    rows: list[dict[str, Any]],
    detail: dict[str, Any],
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
) -> Record:
    """The record of a measurement from its rows, the fields of `Result`.

    `label` gives model, method and ratio, `inputs` the SHA-256 of what was read besides the model.
    """
    results = tuple(Result(**row) for row in rows)
    stored = size_of(subject.directory)
    size = Size(stored.parameters, stored.parameters * subject.model.dtype.itemsize, stored.ratio_stored, stored.ratio_model)
    hashes = {"model": file_hash(subject.directory), **inputs}
    made = subject.directory / "plan.json"
    plan = Plan.read(made) if made.is_file() else None
    how = {} if plan is None else {"method": plan.settings, "calibration": plan.calibration}
    origin = provenance({**settings, **how}, hashes, subject.started, device_name(subject.device), subject.threads)
    return Record(kind, label["model"], label["method"], float(label["ratio"]), size, results, detail, origin)
