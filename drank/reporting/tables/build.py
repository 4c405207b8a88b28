"""From the quantities that a table shows to the table: its rows, its best values and its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from drank.reporting.names import method_name, percent
from drank.reporting.tables.layout import MISSING, Cell, Column, Table
from drank.reporting.tables.marks import marked
from drank.reporting.tables.numbers import Entry, Numbers, Value

BESIDE = {
    " ci_low": "low",
    " ci_high": "high",
    " stderr": "stderr",
    " published": "published",
    " draw_mean": "draw_mean",
    " spread": "spread",
}
"""How the columns of a frame end that tell more of the number before them, and what that is of a value."""


@dataclass(frozen=True)
class Quantity:
    """One column of numbers: where they are found, how they are printed, and which of a block are bold.

    `bold` is "best" (the best of its kind, if told apart: `tables.marks`), "clear" (the best, if it is more than `floor` times better
    than every other), "better" (an interval wholly on the better side of zero) or "".
    """

    dataset: str
    metric: str
    column: Column
    cell: Callable[[Value], Cell]
    bold: str = ""
    floor: float = 1.0


def build(name: str, caption: str, numbers: Numbers, quantities: Sequence[Quantity], *, dense: bool = True, chance: bool = False) -> Table:
    """The table of these quantities: dense and the checkpoints beside it, a block for each ratio, controls and (`chance`) chance below.

    Where the summary has none of them the table has no rows and its caption says so, as a run may leave any of them out.
    """
    shown = [quantity for quantity in quantities if any(numbers.get(entry, quantity.dataset, quantity.metric) for entry in numbers.entries)]
    if not shown:
        caption = f"Nothing to show of {numbers.model}: the run did not measure what this table compares."
    top = [numbers.dense] if dense and numbers.dense is not None and shown else []
    theirs = [entry for entry in numbers.theirs if _measured(numbers, entry, shown)]
    if theirs:
        named = ", ".join(method_name(entry.method) for entry in theirs)
        caption += f" Measured beside the dense model, at no ratio of the run and in no contest: {named}."
    top += theirs
    contests = [[entry for entry in numbers.competing(ratio) if _measured(numbers, entry, shown)] for ratio in numbers.ratios]
    controls = [entry for entry in numbers.controls if _measured(numbers, entry, shown)]
    blocks = [_block(numbers, top, shown, compete=False)]
    blocks += [_block(numbers, entries, shown, compete=True) for entries in contests]
    blocks += [_block(numbers, controls, shown, compete=False) + (_chance(numbers, shown) if chance else ())]
    columns = (Column("Ratio", align="l"), Column("Method", align="l"), *(quantity.column for quantity in shown))
    ordered = [*top, *(entry for entries in contests for entry in entries), *controls]
    return Table(
        f"{name}-{numbers.model}",
        numbers.model,
        caption,
        columns,
        tuple(block for block in blocks if block),
        _frame(numbers, ordered, shown),
    )


def _measured(numbers: Numbers, entry: Entry, quantities: Iterable[Quantity]) -> bool:
    """Whether an entry has any of the quantities."""
    return any(numbers.get(entry, quantity.dataset, quantity.metric) for quantity in quantities)


def _block(numbers: Numbers, entries: Sequence[Entry], quantities: Sequence[Quantity], *, compete: bool) -> tuple[tuple[Cell, ...], ...]:
    """The rows of these entries, the ratio named where it changes."""
    columns = [_cells(numbers, entries, quantity, compete=compete) for quantity in quantities]
    rows = []
    for index, entry in enumerate(entries):
        repeated = index > 0 and entries[index - 1].ratio == entry.ratio
        head = (Cell("" if repeated else percent(entry.ratio)), Cell(method_name(entry.method)))
        rows.append((*head, *(column[index] for column in columns)))
    return tuple(rows)


def _cells(numbers: Numbers, entries: Sequence[Entry], quantity: Quantity, *, compete: bool) -> list[Cell]:
    """One column of a block, marked where its entries compete."""
    values = [numbers.get(entry, quantity.dataset, quantity.metric) for entry in entries]
    cells = [MISSING if value is None else quantity.cell(value) for value in values]
    present = [value for value in values if value is not None]
    if not compete or not quantity.bold or not present:
        return cells
    if quantity.bold == "better":
        significant = "better" if quantity.column.better == "low" else "worse"
        return [replace(cell, bold=value is not None and getattr(value, significant)) for cell, value in zip(cells, values, strict=True)]
    if quantity.bold == "clear":
        first, *others = sorted((value.value for value in present), reverse=quantity.column.better != "low")
        clear = bool(others) and max(first, others[0]) > quantity.floor * min(first, others[0])
        return [replace(cell, bold=clear and value is not None and value.value == first) for cell, value in zip(cells, values, strict=True)]
    return marked(numbers, entries, quantity.dataset, quantity.metric, cells)


def _chance(numbers: Numbers, quantities: Sequence[Quantity]) -> tuple[tuple[Cell, ...], ...]:
    """The row of chance levels, none where no quantity has one."""
    cells = []
    for quantity in quantities:
        found = (numbers.get(entry, quantity.dataset, quantity.metric) for entry in numbers.entries)
        levels = [value.chance for value in found if value is not None and value.chance == value.chance]
        cells.append(quantity.cell(Value(levels[0])) if levels else MISSING)
    return () if all(cell == MISSING for cell in cells) else ((Cell("", level=True), Cell("Chance"), *cells),)


def _frame(numbers: Numbers, entries: Sequence[Entry], quantities: Sequence[Quantity]) -> pd.DataFrame:
    """The numbers behind the cells: a column for each quantity, and for its interval and standard error where it has them."""
    frame = pd.DataFrame({"ratio": [entry.ratio for entry in entries], "method": [entry.method for entry in entries]})
    for quantity in quantities:
        values = [numbers.get(entry, quantity.dataset, quantity.metric) or Value(float("nan")) for entry in entries]
        name = f"{quantity.metric} {quantity.dataset}"
        for suffix, field in {"": "value", **BESIDE}.items():
            column = [getattr(value, field) for value in values]
            if not suffix or any(number == number for number in column):
                frame[name + suffix] = column
    return frame
