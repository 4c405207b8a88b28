"""A printed table: what stands in which cell, and how that reads as LaTeX (booktabs) and as HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape as html_escape
from itertools import groupby

import pandas as pd

from drank.reporting.names import SHORT, escape, hyphenated, lines

ARROWS = {"low": "\u00a0↓", "high": "\u00a0↑", "": ""}
"""The direction in which a quantity is better, as it is marked in a header."""

Address = Callable[[int, int], str]
"""Where the number of a row and a column is from, as a link goes there; empty where it is not told."""

Span = tuple[str, int]
"""A header over several columns: its text and how many."""


@dataclass(frozen=True)
class Cell:
    """A text, bold where it is best, underlined where nothing tells it from the best; small type after it, or (`stacked`) below it.

    A `level` begins a row of no run, such as what guessing scores.
    """

    text: str
    small: str = ""
    bold: bool = False
    stacked: bool = False
    underlined: bool = False
    level: bool = False


MISSING = Cell("–")
"""What stands where nothing was measured."""


@dataclass(frozen=True)
class Column:
    """A column with its label, the group header above it, and where better values lie ("low", "high" or "")."""

    label: str
    group: str = ""
    better: str = ""
    align: str = "r"


@dataclass(frozen=True)
class Table:
    """A table in print (`blocks` of rows of cells, a rule between blocks) and in numbers (`frame`, at full precision)."""

    name: str
    model: str
    caption: str
    columns: tuple[Column, ...]
    blocks: tuple[tuple[tuple[Cell, ...], ...], ...]
    frame: pd.DataFrame

    @property
    def groups(self) -> list[Span]:
        """The headers above the columns, with an arrow where all columns below agree on what is better."""
        return [(f"{group}{ARROWS[_common(columns)] if group else ''}", len(columns)) for group, columns in self._spans()]

    @property
    def labels(self) -> list[str]:
        """The header of each column, with an arrow where the header above has none."""
        shared = [(column, column.group and _common(columns)) for _, columns in self._spans() for column in columns]
        return [column.label if above else f"{column.label}{ARROWS[column.better]}" for column, above in shared]

    def header(self, place: int, *, narrow: bool = False) -> list[str]:
        """The lines of a column's header in print, names that papers abbreviate in short; `narrow` breaks long words too."""
        label, arrow = self.columns[place].label, self.labels[place].removeprefix(self.columns[place].label)
        parts = lines(f"{SHORT.get(label, label)}{arrow}")
        return [piece for part in parts for piece in hyphenated(part)] if narrow else parts

    @property
    def empty(self) -> bool:
        """Whether it has no rows, so that there is nothing to print."""
        return not any(self.blocks)

    def _spans(self) -> list[tuple[str, list[Column]]]:
        """Neighbouring columns under one header."""
        return [(group, list(columns)) for group, columns in groupby(self.columns, key=lambda column: column.group)]

    def noted(self, note: str) -> Table:
        """The table with a note at the end of its caption."""
        return replace(self, caption=f"{self.caption} {note}") if note else self

    def named(self, name: str) -> Table:
        """The table under another name."""
        return replace(self, name=name)

    def to_csv(self) -> str:
        """The numbers as CSV, every digit of them."""
        return self.frame.to_csv(index=False, lineterminator="\n")

    def to_latex(self, *, narrow: bool = False) -> str:
        """The bare `tabular`, for the package booktabs; `narrow` breaks the long words of its headers too."""
        head = [_latex_groups(self.groups)] if any(text for text, _ in self.groups) else []
        labels = [_latex_label(self.header(place, narrow=narrow), column.align) for place, column in enumerate(self.columns)]
        body = "\n  \\midrule\n".join("\n".join(_latex_row(row) for row in block) for block in self.blocks)
        return "\n".join(
            [
                f"\\begin{{tabular}}{{@{{}}{''.join(column.align for column in self.columns)}@{{}}}}",
                "  \\toprule",
                *head,
                f"  {' & '.join(labels)} \\\\",
                "  \\midrule",
                body,
                "  \\bottomrule",
                "\\end{tabular}",
                "",
            ]
        )

    def to_html(self, number: int | None = None, csv: str = "", address: Address = lambda row, column: "") -> str:
        """A `figure` element with caption and a table that scrolls where the screen is narrow, for the report's style sheet.

        `number` is that of the table on its page, `csv` where its numbers lie, and `address` where that of a row and a column is from.
        """
        groups = "".join(f'<th colspan="{width}" scope="colgroup">{html_escape(text)}</th>' for text, width in self.groups)
        labels = "".join(
            f'<th scope="col" class="{column.align}">{"<br>".join(map(html_escape, lines(label)))}</th>'
            for label, column in zip(self.labels, self.columns, strict=True)
        )
        head = f"<tr>{groups}</tr>" if any(text for text, _ in self.groups) else ""
        body, row = "", 0
        for block in self.blocks:
            rows = [self._html_row(cells, partial(address, row + at)) for at, cells in enumerate(block)]
            body, row = f"{body}<tbody>{''.join(rows)}</tbody>", row + len(block)
        table = wide(f"<table><thead>{head}<tr>{labels}</tr></thead>{body}</table>", self.caption.partition(".")[0], len(self.columns))
        named = f' id="table-{number}"' if number else ""
        told = f"<b>Table {number}.</b> " if number else ""
        file = f' <a href="{html_escape(csv)}">CSV</a>' if csv else ""
        return f'<figure class="tabular"{named}><figcaption>{told}{html_escape(self.caption)}{file}</figcaption>{table}</figure>'

    def _html_row(self, row: Sequence[Cell], address: Callable[[int], str]) -> str:
        """One row; the columns that are not numbers head it."""
        cells = []
        for place, (column, cell) in enumerate(zip(self.columns, row, strict=True)):
            tag = "td" if column.align == "r" else "th"
            text = f"<b>{html_escape(cell.text)}</b>" if cell.bold else html_escape(cell.text)
            text = f'<u class="near">{text}</u>' if cell.underlined else text
            if cell.text and cell != MISSING and (to := address(place)):
                text = f'<a href="{html_escape(to)}">{text}</a>'
            small = f"<small>{html_escape(cell.small)}</small>" if cell.small else ""
            cells.append(f'<{tag} class="{column.align}">{text}{"<br>" if small and cell.stacked else " "}{small}</{tag}>')
        kind = ' class="level"' if row[0].level else ""
        return f"<tr{kind}>{''.join(cells)}</tr>"


def wide(table: str, label: str, columns: int) -> str:
    """A table in a box of its own, which scrolls where it is wider than the screen, by keys too; in print its type is by its columns."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{html_escape(label)}" style="--columns: {columns}">{table}</div>'


def _common(columns: Sequence[Column]) -> str:
    """The direction in which all these columns are better, empty where they differ."""
    directions = {column.better for column in columns}
    return directions.pop() if len(directions) == 1 else ""


def _latex_groups(groups: Sequence[Span]) -> str:
    """The line of group headers with the rules below them."""
    cells, rules, first = [], [], 1
    for text, width in groups:
        cells.append(f"\\multicolumn{{{width}}}{{c}}{{{escape(text)}}}")
        rules += [f"\\cmidrule(lr){{{first}-{first + width - 1}}}"] if text else []
        first += width
    return f"  {' & '.join(cells)} \\\\\n  {' '.join(rules)}"


def _latex_label(parts: Sequence[str], align: str) -> str:
    """A column's label, its lines one above the other."""
    stacked = r"\\".join(f"\\strut {escape(part)}" for part in parts)
    return escape(parts[0]) if len(parts) == 1 else f"\\shortstack[{align}]{{{stacked}}}"


def _latex_row(row: Sequence[Cell]) -> str:
    """One row of the table; stacked cells get some room below."""
    end = r"\\[2pt]" if any(cell.small and cell.stacked for cell in row) else r"\\"
    return f"  {' & '.join(map(_latex_cell, row))} {end}"


def _latex_cell(cell: Cell) -> str:
    """One cell of the table; a stacked one hangs below the line of its row."""
    text = f"\\textbf{{{escape(cell.text)}}}" if cell.bold else escape(cell.text)
    text = f"\\underline{{{text}}}" if cell.underlined else text
    small = f"{{\\scriptsize {escape(cell.small)}}}"
    if not cell.small:
        return text
    return f"\\begin{{tabular}}[t]{{@{{}}r@{{}}}}{text}\\\\[-3pt]{small}\\end{{tabular}}" if cell.stacked else f"{text} {small}"
