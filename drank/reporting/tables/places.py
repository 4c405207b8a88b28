"""Where the numbers of a pivot stand: its columns, the columns for which a number holds, and its rows in blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, product

from drank.reporting.tables.axes import Key, ordered
from drank.reporting.tables.claims import Claim, refuse

Places = Mapping[Key, Mapping[Key, Claim]]
"""The claim to each place, by row and column; one that holds for several columns is in all of them."""


def columns_of(claims: Sequence[Claim], levels: int) -> list[Key]:
    """The columns in order: what a run with a value on every axis claims, and what no such column can take in."""
    values = [ordered(claim.column[level] for claim in claims) for level in range(levels)]
    claimed = {claim.column for claim in claims}
    keys = [key for key in product(*values) if key in claimed]
    full = [key for key in keys if None not in key]
    return [key for key in keys if None not in key or not _covered(key, full)]


def placed(name: str, claims: Sequence[Claim], columns: Sequence[Key]) -> Places:
    """Every claim in the columns for which it holds; ValueError, with the artefact's name, where two meet."""
    places: dict[Key, dict[Key, Claim]] = {}
    for claim in claims:
        row = places.setdefault(claim.row, {})
        for column in [claim.column] if claim.column in columns else _covered(claim.column, columns):
            if column in row:
                refuse(name, [*row[column].runs, *claim.runs])
            row[column] = claim
    return places


def blocks_of(places: Places, axes: Sequence[str]) -> list[list[Key]]:
    """The rows in blocks: dense first, then what competes, a block for each value of the first of several axes, controls last.

    Where models or data sets are the first axes, each of them has these blocks.
    """
    ranks = [{value: rank for rank, value in enumerate(ordered(row[level] for row in places))} for level in range(len(axes))]
    lead = next((level for level, axis in enumerate(axes) if axis not in ("model", "dataset")), len(axes) - 1)

    def place(row: Key) -> tuple[list[int], int, list[int]]:
        found = [ranks[level][value] for level, value in enumerate(row)]
        return found[:lead], _role(places[row]), found[lead:]

    def block(row: Key) -> tuple[list[int], int, list[int]]:
        before, role, after = place(row)
        return before, role, after[:1] if role == 1 and len(after) > 1 else []

    return [list(rows) for _, rows in groupby(sorted(places, key=place), key=block)]


def _covered(key: Key, columns: Sequence[Key]) -> list[Key]:
    """The columns for which a number holds: those that agree with it where it has a value."""
    return [column for column in columns if all(own in (None, other) for own, other in zip(key, column, strict=True))]


def _role(row: Mapping[Key, Claim]) -> int:
    """The role of a row whose claims agree on one; a row of several roles competes."""
    roles = {claim.role for claim in row.values()}
    return roles.pop() if len(roles) == 1 else 1
