"""Slopes of every group of a model: how the loss changes, to first order, without one component."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.models.sources import Places, model_directory
from drank.models.weights import Checkpoint
from drank.runtime.device import prepare
from drank.spectra.slopes import slopes_of, write_slopes


def run(output: str | Path, *, source: str, places: Places, spectra: str, gradients: str, compute: Mapping[str, Any], threads: int) -> None:
    """Write the slopes of all components of the spectra in a folder."""
    device = prepare(compute, threads)
    write_slopes(output, slopes_of(Checkpoint(model_directory(source, places)), spectra, gradients, device))
