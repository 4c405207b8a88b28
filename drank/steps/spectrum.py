"""Decompose every group of a model under one weighting: squared singular values, effective ranks, bases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.calibration.layer_files import read_facts
from drank.models.sources import Places, model_directory
from drank.models.weights import Checkpoint
from drank.runtime.device import prepare
from drank.runtime.files import write_text
from drank.spectra.spectrum import decompose_model


def run(
    output: str | Path,
    *,
    names: Mapping[str, str],
    source: str,
    places: Places,
    moments: str | None = None,
    gradients: str | None = None,
    weighting: str,
    options: Mapping[str, float],
    group: int,
    compute: Mapping[str, Any],
    threads: int,
    code: str,
    ranks: str | Path | None = None,
) -> None:
    """Write the spectra of a model as a folder; `names` (model and spectrum) stand in its summary, a copy of which is `ranks`.

    Goes on where an interrupted call with the same arguments, statistics and `code` stopped.
    """
    device = prepare(compute, threads)
    recipe = {"weighting": weighting, "options": dict(options), "group": group}
    folders = [Path(folder) for folder in (gradients, moments) if folder]
    read = {key: value for folder in folders for key, value in read_facts(folder).items()}
    # Partial work made of other statistics must not be gone on with.
    written = [(folder / "facts.json").stat().st_mtime_ns for folder in folders]
    decompose_model(
        Checkpoint(model_directory(source, places)),
        output,
        moments=moments,
        gradients=gradients,
        weighting=weighting,
        options=dict(options),
        group=group,
        facts={**names, **recipe, "calibration": read},
        device=device,
        key={"code": code, "compute": {**compute, "device": device}, "written": written},
    )
    if ranks:
        write_text(ranks, (Path(output) / "summary.json").read_text("utf-8"))
