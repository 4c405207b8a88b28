"""Perplexities of runs along an axis, as the series that a method without its value on that axis makes, and the panels they stand in."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from drank.reporting.figures.method_order import compressed
from drank.reporting.figures.quantity import PERPLEXITY
from drank.reporting.material import Material
from drank.reporting.names import percent, unique
from drank.variants import base_of, without


class Panel(NamedTuple):
    """What a panel is of."""

    model: str
    dataset: str
    ratio: float


def series(material: Material, axis: str) -> pd.DataFrame:
    """Perplexities of compressed models in the order of the material, with `series` and the axis: not a number where a run is not on it.

    A run goes by the label of the first that is the same, so that a point of one method may have the name of another: a series is all of a
    method that differs on this axis alone, by the label of one of its own. A run with and without a value there is shown with it.
    """
    numbers = material.over_draws().numbers
    rows = numbers[(numbers["metric"] == PERPLEXITY.metric) & (numbers["checkpoint"] == "")]
    rows = rows.rename(columns={"method": "asked", "label": "method"})
    rows = compressed(rows).assign(**{axis: rows.get(axis)})
    others = ["asked", *(other for other in material.axes if other != axis)]
    names = {index: _name(part, axis) for _, part in rows.groupby(others, sort=False, dropna=False) for index in part.index}
    rows = rows.assign(series=[names[index] for index in rows.index])
    keys, there = ["model", "dataset", "ratio", "method"], rows[axis].notna()
    shown = set(rows.loc[there, keys].itertuples(index=False, name=None))
    again = [not on and key in shown for on, key in zip(there, rows[keys].itertuples(index=False, name=None), strict=True)]
    return rows.loc[[not one for one in again]].drop_duplicates([*keys, "series", axis])


def _name(rows: pd.DataFrame, axis: str) -> str:
    """The label of a series: that of the first of its runs which goes by its own method's name, without its value on the axis."""
    own = [label for label, asked in zip(rows["method"], rows["asked"], strict=True) if base_of(label) == asked]
    return without((own or list(rows["method"]))[0], axis)


def blocks_of(rows: pd.DataFrame) -> list[list[Panel]]:
    """The panels by model; in one block where each has but one."""
    models, datasets, ratios = unique(rows["model"]), unique(rows["dataset"]), sorted(rows["ratio"].unique())
    places = {Panel(*key) for key in rows[["model", "dataset", "ratio"]].itertuples(index=False)}
    blocks = [[key for dataset in datasets for ratio in ratios if (key := Panel(model, dataset, ratio)) in places] for model in models]
    return [[key for block in blocks for key in block]] if max(map(len, blocks)) == 1 else blocks


def title(rows: pd.DataFrame, key: Panel) -> str:
    """What tells a panel from the others."""
    removed = f"{percent(key.ratio)} removed"
    told = {key.model: rows["model"].nunique(), key.dataset: rows["dataset"].nunique(), removed: rows["ratio"].nunique()}
    return " · ".join(name for name, count in told.items() if count > 1) or f"{key.dataset}, {removed}"
