"""How large a tabular is in print, estimated from its characters."""

from __future__ import annotations

from dataclasses import dataclass

from drank.reporting.tables.layout import Cell, Table

WIDTHS = {
    17: "\u202f",
    28: "il.,:;'[]|",
    31: "fj",
    33: " \u00a0",
    36: "I",
    39: "rst()",
    44: "cez",
    51: "J",
    53: "kqvxy",
    56: "bdhnpuS",
    61: "Z",
    63: "L",
    65: "F",
    68: "EP",
    71: "B",
    72: "wCT",
    74: "R",
    75: "AHNUVXY",
    76: "D",
    78: "KOQ±×+−=<>",
    79: "G",
    83: "m%",
    92: "M",
    103: "W",
}
"""Characters by their width in hundredths of an em in Computer Modern, which is wider than the Times of most styles."""

EMS = {sign: hundredths / 100 for hundredths, signs in WIDTHS.items() for sign in signs}
"""The widths of characters in ems; of digits, and of all that is not here, half an em."""

BOLD = 1.15
"""By how much bold type is wider."""


@dataclass(frozen=True)
class Size:
    r"""A size of type: its command, the width and the line of its type in ems of the text, and `\tabcolsep` in points."""

    command: str
    width: float
    line: float
    gap: float

    @property
    def latex(self) -> str:
        """The commands that set it."""
        return f"\\{self.command}\\setlength{{\\tabcolsep}}{{{self.gap:g}pt}}"


SIZES = (
    Size("small", 0.925, 1.1, 5),
    Size("footnotesize", 0.85, 0.95, 4),
    Size("footnotesize", 0.85, 0.95, 2.5),
    Size("scriptsize", 0.8, 0.8, 2),
)
"""From the one that is easiest to read; small type of Computer Modern is wider than its size says."""

SMALL_TYPE = SIZES[-1].width
"""The width of what stands in small type beside or below a number."""


def width(table: Table, size: Size, *, narrow: bool = False) -> float:
    """The width of a tabular in ems of the text: of each column the widest entry, and the gaps between them."""
    columns = [_column(table, place, size, narrow=narrow) for place in range(len(table.columns))]
    gap, first, missing = size.gap / 5, 0, 0.0
    for text, count in table.groups:
        span = sum(columns[first : first + count]) + gap * (count - 1)
        missing += max(0.0, _ems(text) * size.width - span)
        first += count
    return 1.02 * (sum(columns) + gap * (len(columns) - 1) + missing)


def _column(table: Table, place: int, size: Size, *, narrow: bool) -> float:
    head = max((_ems(line) * size.width for line in table.header(place, narrow=narrow)), default=0.0)
    return max([head, *(_cell(row[place], size) for block in table.blocks for row in block)])


def _cell(cell: Cell, size: Size) -> float:
    text, small = _ems(cell.text) * size.width * (BOLD if cell.bold else 1), _ems(cell.small) * SMALL_TYPE
    return max(text, small) if cell.stacked else text + (small + 0.33 * size.width if cell.small else 0)


def _ems(text: str) -> float:
    """The width of a text in ems of its own type."""
    return sum(EMS.get(sign, 0.5) for sign in text)


def height(table: Table) -> float:
    """The height of a tabular in ems of the text, at the largest size."""
    rows = [row for block in table.blocks for row in block]
    doubled = sum(any(cell.stacked and cell.small for cell in row) for row in rows)
    head = 1 + max(len(table.header(place, narrow=True)) for place in range(len(table.columns)))
    return SIZES[1].line * (len(rows) + doubled + head) + 0.6 * len(table.blocks) + 2
