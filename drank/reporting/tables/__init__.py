"""Tables: pure functions of the summary or of an artefact's material, printed as CSV, LaTeX and HTML.

A new table is one function and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from drank.reporting.material import Material
from drank.reporting.tables.choice import choice
from drank.reporting.tables.cost import cost
from drank.reporting.tables.document import document
from drank.reporting.tables.effective_ranks import effective_rank
from drank.reporting.tables.layout import Table
from drank.reporting.tables.pivot import pivot
from drank.reporting.tables.quantities import main_table, paired_table, throughput_table
from drank.reporting.tables.stability import stability
from drank.reporting.tables.steps import steps, words
from drank.runtime.files import write_text

__all__ = ["LAYOUTS", "TABLES", "Table", "document", "main_table", "paired_table", "throughput_table", "words", "write"]

TABLES: dict[str, Callable[[pd.DataFrame, str], Table]] = {
    "main": main_table,
    "paired": paired_table,
    "throughput": throughput_table,
}
"""The tables by name: functions of a summary and a model."""

LAYOUTS: dict[str, Callable[[Material], Table]] = {
    "pivot": pivot,
    "effective_rank": effective_rank,
    "steps": steps,
    "choice": choice,
    "cost": cost,
    "stability": stability,
}
"""The layouts of an artefact by name: functions of its material."""


def write(table: Table, csv: str | Path, tex: str | Path) -> None:
    """Write a table's numbers as CSV and its print as LaTeX."""
    write_text(csv, table.to_csv())
    write_text(tex, table.to_latex())
