"""Differentiate the loss on calibration text, or on a share of it, with respect to every projection of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drank.calibration.gradients import collect
from drank.calibration.mean_loss import facts_of, gradients_of
from drank.calibration.parts import gather
from drank.corpora.windows import read_tokens
from drank.models.residency import open_skeleton
from drank.models.sources import Places, model_directory
from drank.runtime.device import prepare
from drank.runtime.files import file_hash
from drank.runtime.heap import keep_freed
from drank.runtime.shares import Share


def run(
    output: str | Path,
    *,
    source: str,
    places: Places,
    tokens: str,
    labels: str,
    calibration: Mapping[str, Any],
    compute: Mapping[str, Any],
    threads: int,
    code: str,
    outputs: bool = True,
    share: str | None = None,
    parts: Sequence[str] = (),
) -> None:
    """Write the gradients for these labels as a folder; goes on where an interrupted call with the same arguments and `code` stopped.

    Without `outputs` the second moments at the outputs are left out. With a `share`, such as 2-of-4, the sums over that share of the
    windows; out of the `parts` of all shares the gradients, without a model.
    """
    if parts:
        gather(parts, output, gradients_of, facts_of)
        return
    device = prepare(compute, threads)
    keep_freed()
    text = read_tokens(tokens)
    windows = text.drawn(calibration)[: calibration["gradient_windows"]]
    model = open_skeleton(model_directory(source, places), compute["dtype"], device)
    facts = {**text.facts(calibration), "source_sha256": file_hash(source), "labels": labels}
    key, own = {"code": code, "compute": {**compute, "device": device}}, Share.named(share) if share else None
    collect(model, windows, output, facts, calibration["batch"], key, labels=labels, seed=calibration["seed"], share=own, outputs=outputs)
