"""Run the dense model on windows that a calibration read and on others that it did not, which the loss of others is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.corpora.windows import read_tokens
from drank.evaluation.overfitting import Overfitting, places_in
from drank.models.checkpoint import load_model
from drank.models.sources import Places, model_directory
from drank.runtime.device import prepare
from drank.runtime.files import write_json


def run(
    output: str | Path,
    *,
    source: str,
    places: Places,
    tokens: str,
    calibration: Mapping[str, Any],
    windows: int,
    compute: Mapping[str, Any],
    threads: int,
) -> None:
    """Write as JSON what `Overfitting.of` reads, of up to so many `windows` of each kind."""
    device, text = prepare(compute, threads), read_tokens(tokens)
    found = Overfitting(text, text.facts(calibration), *places_in(text, calibration, windows))
    model = load_model(model_directory(source, places), compute["dtype"], device)
    write_json(output, found.told(found.losses(model)))
