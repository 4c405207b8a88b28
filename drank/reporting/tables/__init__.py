"""Tables: pure functions of an artefact's material, printed as CSV, LaTeX and HTML. A new one is one function and one line of `layouts`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drank.reporting.tables.floats import bare, wrapper
from drank.reporting.tables.layout import Table
from drank.runtime.files import write_text

__all__ = ["Table", "write"]


def write(tables: Sequence[Table], path: str | Path) -> None:
    """Write tables for print: their floats to a path, and beside it of each its numbers, `TABLE.csv`, and its bare `TABLE.tabular.tex`."""
    write_text(path, wrapper(tables))
    for table in tables:
        write_text(Path(path).with_name(f"{table.name}.csv"), table.to_csv())
        write_text(Path(path).with_name(f"{table.name}.tabular.tex"), bare(table))
