"""Find somebody else's checkpoint and write down where it lies and the hashes of its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.models.sources import SourceError, describe_source
from drank.models.theirs import faults_of, place_of
from drank.runtime.device import go_offline
from drank.runtime.files import read_json, write_json


def run(output: str | Path, *, checkpoint: Mapping[str, Any], beside: str | Path) -> None:
    """Write the description of a checkpoint that is to stand beside the dense model which the source file `beside` describes.

    Raises SourceError where it is not on this machine, or cannot be compared with that model: a hub's is seen here for the first time.
    """
    go_offline()
    described = describe_source(checkpoint)
    if faults := faults_of(checkpoint, read_json(beside)["source"]):
        raise SourceError(f"checkpoint {place_of(checkpoint)}: " + "; ".join(faults))
    write_json(output, described)
