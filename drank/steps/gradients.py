"""Differentiate the loss on calibration text with respect to every projection of a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.calibration.gradients import collect
from drank.corpora.windows import read_tokens
from drank.models.residency import open_skeleton
from drank.models.sources import model_directory
from drank.runtime.device import prepare
from drank.runtime.files import file_hash


def run(
    output: str | Path,
    *,
    source: str,
    tokens: str,
    labels: str,
    calibration: Mapping[str, Any],
    compute: Mapping[str, Any],
    threads: int,
    code: str,
) -> None:
    """Write the gradients for these labels as a folder; goes on where an interrupted call with the same arguments and `code` stopped."""
    device = prepare(compute, threads)
    text = read_tokens(tokens)
    windows = text.sample(calibration["length"], calibration["windows"], calibration["seed"])[: calibration["gradient_windows"]]
    model = open_skeleton(model_directory(source), compute["dtype"], device)
    facts = {**text.facts(calibration), "source_sha256": file_hash(source), "labels": labels}
    key = {"code": code, "compute": compute}
    collect(model, windows, output, facts, calibration["batch"], key, labels=labels, seed=calibration["seed"])
