"""Find a model and write down where it lies and the hashes of its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.models.sources import describe_source
from drank.runtime.device import go_offline
from drank.runtime.files import write_json


def run(output: str | Path, *, name: str, source: Mapping[str, Any]) -> None:
    """Write the description of a configured model, called `name`; raises SourceError where it is not on this machine."""
    go_offline()
    write_json(output, describe_source(source, name))
