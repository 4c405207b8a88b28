"""Allocate ranks to every group of a model for one method and ratio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from drank.allocation.allocate import allocate
from drank.allocation.evidence import of_shapes
from drank.allocation.read_evidence import read_evidence
from drank.calibration.layer_files import read_facts
from drank.models.sources import Places, model_directory
from drank.models.weights import Checkpoint
from drank.runtime.files import read_json, write_text


def run(
    output: str | Path,
    *,
    names: Mapping[str, str],
    evidence: Mapping[str, str],
    settings: Mapping[str, Any],
    gradients: str | None = None,
    choice: str | None = None,
    source: str | None = None,
    places: Places | None = None,
) -> None:
    """Write the plan; `names` gives model, method and ratio, `gradients` what tells of the text behind slopes, `choice` the chosen mix.

    Without evidence it is that of a shape, which `source` describes.
    """
    chosen = {"mix": read_json(choice)["mix"]} if choice else {}
    if source is not None and not evidence:
        known = of_shapes(Checkpoint(model_directory(source, places)).shapes(settings["group"]))
        write_text(output, allocate(known, float(names["ratio"]), settings, model=names["model"], method=names["method"]).to_json())
        return
    plan = allocate(read_evidence(**evidence), float(names["ratio"]), {**settings, **chosen}, model=names["model"], method=names["method"])
    text: dict[str, Any] = {}  # what was read on the way here, that of the search apart
    for folder in (gradients, evidence.get("moments")):
        text |= read_facts(folder) if folder else {}
    text |= read_json(Path(evidence["spectra"]) / "summary.json")["calibration"]
    for searched in (evidence.get("sensitivity"), choice):
        text |= {"search": read_json(searched)["facts"]} if searched else {}
    write_text(output, replace(plan, calibration=text).to_json())
