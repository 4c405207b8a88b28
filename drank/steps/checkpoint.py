"""Find somebody else's checkpoint and write down where it lies and the hashes of its files."""

from __future__ import annotations

from pathlib import Path

from drank.models.sources import Places, SourceError, describe_source
from drank.models.theirs import faults_of, place_of
from drank.runtime.device import go_offline
from drank.runtime.files import read_json, write_json


def run(output: str | Path, *, name: str, places: Places, beside: str | Path) -> None:
    """Write the description of the checkpoint of this name, to stand beside the dense model that the source file `beside` describes.

    Raises SourceError where it is not on this machine, or cannot be compared with that model: a hub's is seen here for the first time.
    """
    go_offline()
    checkpoint = places[name]
    described = describe_source(checkpoint, name)
    if faults := faults_of(checkpoint, places[read_json(beside)["name"]]):
        raise SourceError(f"checkpoint {place_of(checkpoint)}: " + "; ".join(faults))
    write_json(output, described)
