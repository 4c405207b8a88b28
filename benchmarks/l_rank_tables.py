"""The tables of the benchmark of L-Rank: gaps to the dense model in log-perplexity, with paired intervals below them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.l_rank_lab import Job, Losses
from drank.reporting.names import number
from drank.reporting.tables import Table
from drank.reporting.tables.layout import Cell, Column
from drank.reporting.tables.numbers import Value
from drank.reporting.tables.quantities import interval
from drank.statistics.intervals import Interval
from drank.statistics.paired import paired_difference

DIGITS = 3

MISSING = Cell("–")


class Found(NamedTuple):
    """What was to be measured, what that model loses, and what the one that it is compared with does; None where it was not measured."""

    job: Job
    losses: Losses | None
    reference: Losses | None = None


class Line(NamedTuple):
    """A row: the texts at its head, and what was found under each group of columns."""

    heads: tuple[str, ...]
    found: tuple[Found, ...]


Block = Sequence[Line]


def difference(losses: Losses, other: Losses, corpus: str) -> Interval:
    """How far one model lies above another on a corpus, in nats per token, on the same windows."""
    one, two = losses[corpus], other[corpus]
    return paired_difference(one.loss, one.tokens, two.loss, two.tokens).log_perplexity


def gap_table(
    name: str,
    model: str,
    caption: str,
    heads: tuple[str, ...],
    groups: tuple[str, ...],
    blocks: Sequence[Block],
    dense: Losses,
    best: bool = False,
) -> Table:
    """A column for every corpus in every group; small below each gap the interval of the difference to what it is compared with.

    Lines of which nothing was measured are left out. With `best` the smallest gaps of a block are bold. The numbers behind it have a row
    for each gap: what was measured where, the gap with its interval, and the difference with its own.
    """
    kept = [[line for line in block if any(found.losses for found in line.found)] for block in blocks]
    kept = [block for block in kept if block]
    columns = (*(Column(head, align="l") for head in heads), *(Column(corpus, group, "low") for group in groups for corpus in dense))
    printed = [[(*map(Cell, line.heads), *_cells(line, dense)) for line in block] for block in kept]
    if best:
        printed = [_with_best(block, len(heads)) for block in printed]
    rows = [row for block in kept for line in block for found in line.found for row in _numbers(found, dense)]
    return Table(name, model, caption, columns, tuple(map(tuple, printed)), pd.DataFrame(rows))


def _cells(line: Line, dense: Losses) -> Iterator[Cell]:
    for _, losses, reference in line.found:
        for corpus in dense:
            if losses is None:
                yield MISSING
                continue
            found = difference(losses, reference, corpus) if reference is not None and reference != losses else None
            small = "" if found is None else interval(Value(*found), DIGITS)
            yield Cell(number(difference(losses, dense, corpus).value, DIGITS), small, stacked=bool(small))


def _with_best(block: Sequence[tuple[Cell, ...]], heads: int) -> list[tuple[Cell, ...]]:
    """The rows with the smallest number of each column in bold, as printed."""
    columns = [[cell.text for cell in column if cell != MISSING] for column in zip(*block, strict=True)]
    smallest = [min(texts, key=lambda text: float(text.replace("−", "-")), default="") for texts in columns[heads:]]
    return [
        (*row[:heads], *(replace(cell, bold=cell.text == text) for cell, text in zip(row[heads:], smallest, strict=True))) for row in block
    ]


def _numbers(found: Found, dense: Losses) -> Iterator[dict[str, Any]]:
    job, losses, reference = found
    for corpus in dense if losses is not None else ():
        assert losses is not None
        row: dict[str, Any] = {"row": job.row, "ratio": job.ratio, "calibrated_on": job.corpus, "windows": job.windows, "corpus": corpus}
        row |= _named("gap", difference(losses, dense, corpus))
        yield row | (_named("difference", difference(losses, reference, corpus)) if reference is not None else {})


def _named(name: str, found: Interval) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
