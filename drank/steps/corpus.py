"""Read one corpus from where it lies into a Parquet file of documents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.corpora import read, write
from drank.runtime.device import go_offline


def run(output: str | Path, *, source: Mapping[str, Any]) -> None:
    """Write the documents of a configured corpus; raises ValueError or OSError where its source does not give what it promises."""
    go_offline()
    write(output, source, read(source))
