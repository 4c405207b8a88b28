"""The record of a measurement that has just been made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drank.allocation.plan import Plan
from drank.compression.making import making_of
from drank.models.documents import CARD, MAKING, PLAN
from drank.models.tensors import size_of
from drank.reporting.records import Record, Result, Size
from drank.runtime.files import file_hash
from drank.runtime.provenance import origin

if TYPE_CHECKING:
    from drank.evaluation.measured_model import MeasuredModel


def record_of(
    subject: MeasuredModel,
    kind: str,
    label: Mapping[str, str],
    rows: list[dict[str, Any]],
    detail: dict[str, Any],
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    dense: Mapping[str, Any] | None,
) -> Record:
    """The record of a measurement from its rows, the fields of `Result`.

    `label` gives model, method and ratio, `settings` are those of the measurement, `inputs` the SHA-256 of what was read besides the
    model. The method with all its fields, the texts it read and how the model was made come from the model's folder; a folder without a
    plan holds the dense model, whose method is `dense`. The model's hash leaves out its card, and when and where it was made.
    """
    stored = size_of(subject.directory)
    size = Size(stored.parameters, stored.parameters * subject.model.dtype.itemsize, stored.ratio_stored, stored.ratio_model)
    made, plan = making_of(subject.directory), subject.directory / PLAN
    read = Plan.read(plan) if plan.is_file() else None
    provenance = {
        **origin(subject.device, subject.threads, subject.started),
        "settings": dict(settings),
        "method": read.settings if read else dict(dense or {}),
        "calibration": ({**_text_of(made), **read.calibration} or None) if read else None,
        "making": {key: value for key, value in made.items() if key not in ("method", "packages")} if made else None,
        "inputs": {"model": file_hash(subject.directory, {MAKING, CARD}), **inputs},
    }
    results = tuple(Result(**row) for row in rows)
    return Record(kind, label["model"], label["method"], float(label["ratio"]), size, results, detail, provenance)


def _text_of(making: Mapping[str, Any] | None) -> dict[str, Any]:
    """The calibration text of a model whose spectra needed none and whose factors were made again on it; empty where nothing was."""
    texts = making["texts"] if making else {}
    return texts.get("refit") or texts.get("corrections") or {}
