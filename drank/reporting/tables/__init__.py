"""Tables: pure functions of the summary, printed as CSV, LaTeX and HTML. A new table is one function and one entry here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from drank.reporting.tables.floats import bare, wrapper
from drank.reporting.tables.layout import Table
from drank.reporting.tables.quantities import main_table, paired_table, throughput_table
from drank.runtime.files import write_text

__all__ = ["TABLES", "Table", "main_table", "paired_table", "throughput_table", "write"]

TABLES: dict[str, Callable[[pd.DataFrame, str], Table]] = {
    "main": main_table,
    "paired": paired_table,
    "throughput": throughput_table,
}
"""The tables by name: functions of a summary and a model."""


def write(tables: Sequence[Table], path: str | Path) -> None:
    """Write tables for print: their floats to a path, and beside it of each its numbers, `TABLE.csv`, and its bare `TABLE.tabular.tex`."""
    write_text(path, wrapper(tables))
    for table in tables:
        write_text(Path(path).with_name(f"{table.name}.csv"), table.to_csv())
        write_text(Path(path).with_name(f"{table.name}.tabular.tex"), bare(table))
