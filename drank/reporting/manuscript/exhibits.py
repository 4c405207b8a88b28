"""What a manuscript shows: tables and figures, each with the material that it was made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from drank.reporting.material import Material
from drank.reporting.names import escape, listed
from drank.reporting.tables.floats import label
from drank.reporting.tables.layout import Table

REFERENCE = r"\ref{{{}}}"


@dataclass(frozen=True)
class Exhibit:
    """The tables whose floats lie at `path`, or, without tables, the figure that does; paths are relative to where LaTeX runs.

    Its name is that under which `macros` has the numbers of its material, and may be that of others too. A figure has a caption of its
    own and is as wide as a column or as the page. `quantities` are what is shown of the material, metrics or `effective_rank` or `rank`;
    where none are given, those that its tables have in their numbers, or, of a figure, all.
    """

    name: str
    path: str
    material: Material
    tables: Sequence[Table] = ()
    caption: str = ""
    width: Literal["column", "page"] = "column"
    quantities: Sequence[str] = ()

    @property
    def shown(self) -> set[str]:
        """The quantities that it shows."""
        numbers = self.material.numbers
        known = {*(numbers["metric"] if len(numbers) else ()), *["effective_rank"] * bool(self.material.spectra)}
        known |= {*["rank"] * bool(self.material.plans)}
        frames = [table.frame for table in self.tables]
        printed = {str(column).partition(" ")[0] for frame in frames for column in frame.columns}
        printed |= {metric for frame in frames if "metric" in frame for metric in frame["metric"]}  # of a pivot
        return set(self.quantities) or (known & printed if self.tables else known)

    @property
    def labels(self) -> list[str]:
        """The labels by which the text refers to it."""
        return [label(table) for table in self.tables] or [f"fig:{re.sub(r'[^A-Za-z0-9.-]+', '-', Path(self.path).stem)}"]

    @property
    def named(self) -> str:
        """How the text names it, such as `Tables 1 and 2`."""
        word = ("Table" if self.tables else "Figure") + ("s" if len(self.labels) > 1 else "")
        return f"{word}~{listed([REFERENCE.format(one) for one in self.labels])}"

    @property
    def latex(self) -> str:
        """What sets it."""
        if self.tables:
            return f"\\input{{{self.path}}}\n"
        name = "figure*" if self.width == "page" else "figure"
        return (
            f"\\begin{{{name}}}[tp]\n  \\centering\n  \\drankfigure{{{self.path}}}\n"
            f"  \\caption{{{escape(self.caption)}}}\n  \\label{{{self.labels[0]}}}\n\\end{{{name}}}\n"
        )
