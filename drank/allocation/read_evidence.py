"""The evidence of an allocation, read from the files of the steps that measured it."""

from __future__ import annotations

from pathlib import Path

from drank.allocation.evidence import Evidence
from drank.calibration.moments import read_similarities
from drank.runtime.files import read_json
from drank.spectra.slopes import read_slopes
from drank.spectra.spectrum import read_energies, read_summary

FILES = ("spectra", "slopes", "moments", "sensitivity")
"""What the files of evidence are called, where a step is given them by name."""


def read_evidence(
    spectra: str | Path, *, slopes: str | Path | None = None, moments: str | Path | None = None, sensitivity: str | Path | None = None
) -> Evidence:
    """The groups and energies of a spectra directory, with the slopes, similarities and search results of the files that are given."""
    return Evidence(
        tuple(read_summary(spectra)[0]),
        read_energies(spectra),
        read_slopes(slopes) if slopes else {},
        read_similarities(moments) if moments else (),
        read_json(sensitivity)["perplexity"] if sensitivity else {},
    )
