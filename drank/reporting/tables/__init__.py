"""Tables: pure functions of the summary, printed as CSV, LaTeX and HTML. A new table is one function and one entry here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from drank.reporting.tables.document import document
from drank.reporting.tables.layout import Table
from drank.reporting.tables.quantities import main_table, paired_table, throughput_table
from drank.runtime.files import write_text

__all__ = ["TABLES", "Table", "document", "main_table", "paired_table", "throughput_table", "write"]

TABLES: dict[str, Callable[[pd.DataFrame, str], Table]] = {
    "main": main_table,
    "paired": paired_table,
    "throughput": throughput_table,
}
"""The tables by name: functions of a summary and a model."""


def write(table: Table, csv: str | Path, tex: str | Path) -> None:
    """Write a table's numbers as CSV and its print as LaTeX."""
    write_text(csv, table.to_csv())
    write_text(tex, table.to_latex())
