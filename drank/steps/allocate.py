"""Allocate ranks to every group of a model for one method and ratio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from drank.allocation.allocate import allocate
from drank.allocation.evidence import of_shapes
from drank.allocation.given import Given
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
    given: str | None = None,
) -> None:
    """Write the plan; `names` gives model, method and ratio, `gradients` what tells of the text behind slopes, `choice` the chosen mix.

    Without evidence it is that of a shape, which `source` describes. `given` is a plan whose ranks are to be taken.
    """
    chosen = {"mix": read_json(choice)["mix"]} if choice else {}
    if source is not None and not evidence:
        known = of_shapes(Checkpoint(model_directory(source, places)).shapes(settings["group"]))
    else:
        known = read_evidence(**evidence)
    known = replace(known, given=Given.read(given) if given else None)
    plan = allocate(known, float(names["ratio"]), {**settings, **chosen}, model=names["model"], method=names["method"])
    write_text(output, replace(plan, calibration=_texts(evidence, gradients, choice)).to_json())


def _texts(evidence: Mapping[str, str], gradients: str | None, choice: str | None) -> dict[str, Any]:
    """What was read on the way to a plan, nothing where nothing was measured."""
    text: dict[str, Any] = {}  # that of the search apart
    for folder in (gradients, evidence.get("moments")):
        text |= read_facts(folder) if folder else {}
    text |= read_json(Path(evidence["spectra"]) / "summary.json")["calibration"] if evidence else {}
    for searched in (evidence.get("sensitivity"), choice):
        text |= {"search": read_json(searched)["facts"]} if searched else {}
    return text
