"""Accumulate the moments of the inputs of every projection of a model over calibration text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.calibration import moments
from drank.corpora.windows import read_tokens
from drank.models.residency import open_skeleton
from drank.models.sources import model_directory
from drank.runtime.device import prepare
from drank.runtime.files import file_hash


def run(
    output: str | Path, *, source: str, tokens: str, calibration: Mapping[str, Any], compute: Mapping[str, Any], threads: int, code: str
) -> None:
    """Write the moments as a folder; goes on where an interrupted call with the same arguments and `code` (a hash of it) stopped."""
    device = prepare(compute, threads)
    text = read_tokens(tokens)
    windows = text.sample(calibration["length"], calibration["windows"], calibration["seed"])
    model = open_skeleton(model_directory(source), compute["dtype"], device)
    facts = {**text.facts(calibration), "source_sha256": file_hash(source)}
    moments.calibrate(model, windows, output, facts, calibration["batch"], {"code": code, "compute": compute})
