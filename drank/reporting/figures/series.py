"""Perplexities of runs along an axis, as the series that a method without its value on that axis makes, and the panels they stand in."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from drank.reporting.figures.method_order import compressed
from drank.reporting.figures.quantity import PERPLEXITY
from drank.reporting.material import Material
from drank.reporting.names import percent, unique
from drank.variants import without


class Panel(NamedTuple):
    """What a panel is of."""

    model: str
    dataset: str
    ratio: float


def series(material: Material, axis: str) -> pd.DataFrame:
    """Perplexities of compressed models in the order of the material, with `series` and the axis: not a number where a run is not on it."""
    rows = material.numbers[(material.numbers["metric"] == PERPLEXITY.metric) & (material.numbers["checkpoint"] == "")]
    rows = compressed(rows.drop(columns="method").rename(columns={"label": "method"}))
    rows = rows.assign(series=[without(label, axis) for label in rows["method"]], **{axis: rows.get(axis)})
    return rows.drop_duplicates(["model", "dataset", "ratio", "method", axis])


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
