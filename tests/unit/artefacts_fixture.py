"""Materials of artefacts: runs on the axes that a test names, with records that look like measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from drank.reporting.material import Material, numbers_of
from drank.reporting.records import Record
from drank.reporting.summary import summarise
from drank.variants import variant
from tests.unit.records_fixture import KINDS

Run = tuple[str, Mapping[str, Any], float]
"""The method as a configuration calls it, its values by axis, and the ratio."""


def grid(method: str, ratios: Sequence[float] = (0.2, 0.4), **axes: Sequence[Any]) -> list[Run]:
    """The runs of a method at all ratios and all values of the axes."""
    points: list[dict[str, Any]] = [{}]
    for axis, values in axes.items():
        points = [{**point, axis: value} for point in points for value in values]
    return [(method, point, ratio) for point in points for ratio in ratios]


DENSE: list[Run] = [("dense", {}, 0.0)]


def material_of(
    runs: Sequence[Run],
    options: Mapping[str, Any],
    models: Sequence[str] = ("docs-mha",),
    kinds: Sequence[str] = ("perplexity",),
    name: str = "artefact",
    calibrated: Mapping[str, Mapping[str, Any]] | None = None,
    **parts: Any,
) -> Material:
    """The material of these runs of every model; its axes are those that any run stands on.

    `calibrated` says by label what methods have of a calibration of their own.
    """
    axes = tuple(dict.fromkeys(axis for _, values, _ in runs for axis in values))
    points = [
        {"model": model, "method": method, "label": variant(method, values), "ratio": ratio, **{axis: values.get(axis) for axis in axes}}
        for model in models
        for method, values, ratio in runs
    ]
    records = [KINDS[kind](point["model"], point["label"], point["ratio"]) for kind in kinds for point in points]
    records = [_calibrated(record, (calibrated or {}).get(record.method, {})) for record in records]
    labels = [point["label"] for point in points]
    summary = summarise(records, labels, models, among={(point["model"], point["label"], point["ratio"]) for point in points})
    return Material(name, numbers_of(summary, points), axes, options=options, records=records, **parts)


def _calibrated(record: Record, facts: Mapping[str, Any]) -> Record:
    text = {**record.provenance["calibration"], **facts} if facts else record.provenance["calibration"]
    return replace(record, provenance={**record.provenance, "calibration": text})


def texts(table: Any) -> list[list[str]]:
    """The rows of a table as they are read, small type included."""
    return [[" ".join(filter(None, (cell.text, cell.small))) for cell in row] for block in table.blocks for row in block]
