"""How a table fits the page: how wide it is in print, in one column or over both, and into which parts it falls where it is too large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from drank.reporting.tables.layout import MISSING, Cell, Table
from drank.reporting.tables.measure import SIZES, height, width

Block = tuple[tuple[Cell, ...], ...]
"""Rows between two rules."""

COLUMN = 21.9
"""Width of one column of a two-column paper in ems of its text: ACL's, the narrowest of those in use."""

TEXT = 39.5
"""Width of a page's text in ems: the 5.5 inches of NeurIPS and ICLR, narrower than two columns of any style."""

HEIGHT = 44.0
"""Height that a float may take of a page in ems, caption left out."""


@dataclass(frozen=True)
class Fit:
    """How a table is set: over both columns or not, with long words of headers broken or not, and its parts, by the float they stand in."""

    wide: bool
    narrow: bool
    floats: tuple[tuple[Table, ...], ...]

    @property
    def size(self) -> str:
        """The commands that choose, where it is typeset, the largest size of type at which it fits the line that it finds there."""
        widths = [max(width(part, size, narrow=self.narrow) for parts in self.floats for part in parts) for size in SIZES]
        tests = "".join(f"\\ifdim\\linewidth>{wide:.1f}em {size.latex}\\else" for wide, size in zip(widths, SIZES[:-1], strict=False))
        return tests + SIZES[-1].latex + r"\fi" * (len(SIZES) - 1)


def fit(table: Table) -> Fit:
    """How to set a table: in one column if it can be, else over both, else with small type below numbers, else in parts of whole columns.

    What heads the rows is in every part. Parts stand one below the other in a float as far as a page is high; what is longer goes on in
    the next.
    """
    for wide, narrow, shown in (
        (False, False, table),
        (False, True, table),
        (True, False, table),
        (True, True, table),
        (True, True, _stacked(table)),
    ):
        if width(shown, SIZES[-1], narrow=narrow) <= (TEXT if wide else COLUMN):
            return Fit(wide, narrow, tuple(_floats([shown])))
    parts = list(_beside(table))
    return Fit(True, any(width(part, SIZES[-1]) > TEXT for part in parts), tuple(_floats(parts)))


def _stacked(table: Table) -> Table:
    """The table with what is in small type beside a number below it."""
    blocks = tuple(tuple(tuple(replace(cell, stacked=True) for cell in row) for row in block) for block in table.blocks)
    return replace(table, blocks=blocks)


def _beside(table: Table) -> Iterator[Table]:
    """The table in parts of neighbouring columns, cut between groups where these fit; what heads the rows is in every part."""
    heads = _heads(table)
    groups = [list(places) for _, places in groupby(range(heads, len(table.columns)), key=lambda place: table.columns[place].group)]

    def part(places: Sequence[int]) -> Table:
        return _columns(table, [*range(heads), *places], heads)

    def fits(places: Sequence[int]) -> bool:
        return width(part(places), SIZES[-1], narrow=True) <= TEXT

    units = [unit for group in groups for unit in ([group] if fits(group) else [[place] for place in group])]
    taken: list[int] = []
    for unit in units:
        if taken and not fits([*taken, *unit]):
            yield part(taken)
            taken = []
        taken += unit
    yield part(taken)


def _columns(table: Table, places: Sequence[int], heads: int) -> Table:
    """The table with these columns alone, without the rows that have nothing in them."""
    blocks = []
    for block in table.blocks:
        named = [tuple(row[place] for place in places) for row in _headed(block, heads)]
        kept = [row for row in named if any(cell != MISSING for cell in row[heads:])]
        blocks.append(tuple(_blanked(row, kept[at - 1] if at else (), heads) for at, row in enumerate(kept)))
    return replace(table, columns=tuple(table.columns[place] for place in places), blocks=tuple(block for block in blocks if block))


def _heads(table: Table) -> int:
    """How many columns head the rows."""
    return next((place for place, column in enumerate(table.columns) if column.align == "r"), len(table.columns))


def _headed(block: Block, heads: int) -> Block:
    """The rows of a block with all that heads them: what is blank as it stands above, in the first columns and never in the last of them.

    A blank behind what stands there is a value that the run does not have, and a row of no run has none.
    """
    rows: list[tuple[Cell, ...]] = []
    for row in block:
        told = next((place for place in range(heads) if row[place].text), heads)
        repeated = 0 if not rows or row[0].level else min(told, heads - 1)
        rows.append((*(rows[-1][:repeated] if rows else ()), *row[repeated:]))
    return tuple(rows)


def _blanked(row: tuple[Cell, ...], above: tuple[Cell, ...], heads: int) -> tuple[Cell, ...]:
    """The row as it stands under another: what heads both is blank."""
    same = next((place for place in range(heads - 1) if row[: place + 1] != above[: place + 1]), max(heads - 1, 0))
    return (*([Cell("")] * same), *row[same:])


def _floats(parts: Sequence[Table] | Iterator[Table]) -> Iterator[tuple[Table, ...]]:
    """The parts, cut between rows where they are longer than a page, as many to a float as it has room for."""
    taken: list[Table] = []
    for part in (piece for whole in parts for piece in _below(whole)):
        if taken and sum(map(height, [*taken, part])) > HEIGHT:
            yield tuple(taken)
            taken = []
        taken.append(part)
    yield tuple(taken)


def _below(table: Table) -> Iterator[Table]:
    """The table in parts of rows that fit a page, cut between blocks where these do."""
    taken: list[Block] = []
    for block in (piece for whole in table.blocks for piece in _pieces(table, whole)):
        if taken and _rise(table, *taken, block) > HEIGHT:
            yield replace(table, blocks=tuple(taken))
            taken = []
        taken.append(block)
    yield replace(table, blocks=tuple(taken))


def _pieces(table: Table, block: Block) -> Iterator[Block]:
    """A block in pieces that fit a page, each with what heads its rows in the first of them."""
    headed, start = _headed(block, _heads(table)), 0
    for end in range(1, len(block) + 1):
        if end == len(block) or _rise(table, block[start : end + 1]) > HEIGHT:
            yield (headed[start], *block[start + 1 : end])
            start = end


def _rise(table: Table, *blocks: Block) -> float:
    return height(replace(table, blocks=blocks))
