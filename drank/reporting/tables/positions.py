"""The loss by position in the window: whether a method loses at the beginning, where little is known, or where much has been read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import pandas as pd

from drank.reporting.material import Material
from drank.reporting.names import is_dense, method_name, number, percent
from drank.reporting.tables.artefact import table_of, wanted
from drank.reporting.tables.layout import MISSING, Cell, Column, Table
from drank.reporting.tables.quantities import signed


class Band(NamedTuple):
    """A text, and the first and last position of a band in its windows: how many tokens stand before one that is predicted."""

    text: str
    first: int
    last: int


class Row(NamedTuple):
    """A run and its mean loss in nats by band."""

    model: str
    ratio: float
    label: str
    losses: dict[Band, float]


def loss_by_position(material: Material) -> Table:
    """A row for each run by model and ratio, a column for each band of each text; empty where no record tells losses by position."""
    texts, several = wanted(material, "perplexity"), len(material.models) > 1
    rows = list(_rows(material, texts))
    dense = {row.model: row.losses for row in rows if is_dense(row.label)}
    bands = sorted({band for row in rows for band in row.losses}, key=lambda band: (texts.index(band.text), band.first, band.last))
    columns = [Column("Model", align="l")] * several + [Column("Ratio", align="l"), Column("Method", align="l")]
    columns += [Column(f"{band.first}–{band.last}", band.text, "low") for band in bands]
    blocks = []
    for (model, ratio), group in groupby(rows, key=lambda row: (row.model, row.ratio)):
        heads = [model] * several + [percent(ratio)]
        cells = [list(_cells(row, dense.get(model, {}), bands)) for row in group]
        blocks.append([[*(Cell("" if place else head) for head in heads), *own] for place, own in enumerate(cells)])
    caption = "Loss in nats per token by position in the window, which is the number of tokens that stand before"
    caption += ", in small type what that is over the dense model." if dense else "."
    frame = pd.DataFrame([{**row._asdict(), **band._asdict(), "losses": loss} for row in rows for band, loss in row.losses.items()])
    return table_of(material, caption, columns, blocks, frame.rename(columns={"losses": "loss"}))


def _rows(material: Material, texts: Sequence[str]) -> Iterator[Row]:
    """The runs that tell losses by position, by model and ratio, methods in the order of the material."""
    details = {(one.model, one.ratio, one.method): one.detail for one in material.records if one.kind == "perplexity"}
    order = list(dict.fromkeys(zip(material.numbers["model"], material.numbers["ratio"], material.numbers["label"], strict=True)))
    for model, ratio, label in sorted(order, key=lambda run: (material.models.index(run[0]), run[1])):
        detail = details.get((model, ratio, label), {})
        told = [(text, band) for text in texts for band in detail.get(text, {}).get("loss_by_position", ())]
        if told:
            yield Row(model, ratio, label, {Band(text, band["first"], band["last"]): band["loss"] for text, band in told})


def _cells(row: Row, dense: Mapping[Band, float], bands: Sequence[Band]) -> Iterator[Cell]:
    """The cells of a run after its ratio."""
    yield Cell(method_name(row.label))
    for band in bands:
        over = "" if is_dense(row.label) or band not in dense or band not in row.losses else signed(row.losses[band] - dense[band])
        yield Cell(number(row.losses[band]), over) if band in row.losses else MISSING
