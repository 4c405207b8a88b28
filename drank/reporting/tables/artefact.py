"""What all tables of an artefact have in common: the data sets they are about, the axes their runs differ on, and their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from drank.reporting.material import Material
from drank.reporting.tables.axes import plain
from drank.reporting.tables.layout import Cell, Column, Table


def varying(material: Material, axes: Iterable[str]) -> list[str]:
    """Those of the axes on which the runs have more than one value."""
    return [axis for axis in axes if len({plain(value) for value in material.numbers[axis]}) > 1]


def wanted(material: Material, metric: str) -> list[str]:
    """The data sets that the artefact is about: those of its option `on`, or all that have the metric.

    Raises ValueError for one in `on` that no run was measured on.
    """
    rows = material.numbers
    measured = list(dict.fromkeys(rows.loc[rows["metric"] == metric, "dataset"]))
    chosen = list(material.options.get("on", measured))
    unmeasured = [name for name in chosen if name not in measured]
    if measured and unmeasured:
        raise ValueError(
            f"{material.name}: option on names {', '.join(unmeasured)}, where no run has {metric}; it is there for {', '.join(measured)}: "
            "correct the option, or have the data set measured"
        )
    return chosen


def table_of(
    material: Material, caption: str, columns: Iterable[Column], blocks: Iterable[Sequence[Sequence[Cell]]], frame: pd.DataFrame
) -> Table:
    """The table of an artefact, by its name."""
    models = ", ".join(material.models)
    return Table(material.name, models, caption, tuple(columns), tuple(tuple(map(tuple, block)) for block in blocks if block), frame)
