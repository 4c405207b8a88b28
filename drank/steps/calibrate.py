"""Accumulate the moments of the inputs of every projection of a model over calibration text, or over a share of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drank.calibration import moments
from drank.calibration.parts import gather
from drank.corpora.windows import read_tokens
from drank.models.residency import open_skeleton
from drank.models.sources import Places, model_directory
from drank.runtime.device import prepare
from drank.runtime.files import file_hash
from drank.runtime.shares import Share


def run(
    output: str | Path,
    *,
    source: str,
    places: Places,
    tokens: str,
    calibration: Mapping[str, Any],
    compute: Mapping[str, Any],
    threads: int,
    code: str,
    share: str | None = None,
    parts: Sequence[str] = (),
) -> None:
    """Write the moments as a folder; goes on where an interrupted call with the same arguments and `code` (a hash of it) stopped.

    With a `share`, such as 2-of-4, the sums over that share of the windows; out of the `parts` of all shares the moments, without a model.
    """
    if parts:
        gather(parts, output, moments.moments_of)
        return
    device = prepare(compute, threads)
    text = read_tokens(tokens)
    windows = text.drawn(calibration)
    model = open_skeleton(model_directory(source, places), compute["dtype"], device)
    facts = {**text.facts(calibration), "source_sha256": file_hash(source)}
    key, own = {"code": code, "compute": {**compute, "device": device}}, Share.named(share) if share else None
    moments.calibrate(model, windows, output, facts, calibration["batch"], key, own)
