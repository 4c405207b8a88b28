"""Compress a model in steps, measure it again at each, and decompose the original weights under what the last step saw."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.compression import relinearise as steps
from drank.corpora.windows import read_tokens
from drank.models.sources import Places, model_directory
from drank.runtime.device import prepare
from drank.runtime.files import read_json
from drank.spectra.weightings import WEIGHTINGS


def run(
    output: str | Path,
    *,
    names: Mapping[str, str],
    source: str,
    places: Places,
    spectra: str,
    tokens: str,
    settings: Mapping[str, Any],
    options: Mapping[str, float],
    calibration: Mapping[str, Any],
    compute: Mapping[str, Any],
    threads: int,
    code: str,
) -> None:
    """Write the spectra of the last step as a folder; `names` gives model, method and ratio, `options` are those of the weighting."""
    device = prepare(compute, threads)
    windows = read_tokens(tokens).drawn(calibration)
    recipe: dict[str, Any] = {name: settings[name] for name in ("weighting", "group", "steps")} | {"options": dict(options)}
    recipe["labels"] = WEIGHTINGS[settings["weighting"]].backward_pass(settings["labels"])
    steps.relinearise(
        model_directory(source, places),
        output,
        spectra=spectra,
        method=names["method"],
        settings=dict(settings),
        **recipe,
        ratio=float(names["ratio"]),
        windows=windows[: calibration["gradient_windows"]],
        moments_windows=windows,
        batch=calibration["batch"],
        seed=calibration["seed"],
        dtype=compute["dtype"],
        device=device,
        key=code,
        facts={**names, **recipe, "calibration": read_json(f"{spectra}/summary.json")["calibration"]},
    )
