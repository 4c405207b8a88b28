"""Where a method stands among many: which rows compare methods, whether these are many, and their order from the best on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from drank.reporting.figures.style import MANY
from drank.reporting.names import is_control, is_dense, unique


def uncompressed(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of uncompressed models."""
    return rows[rows["method"].map(is_dense).astype(bool)]


def compressed(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of compressed models."""
    return rows[(rows["ratio"] > 0) & ~rows["method"].map(is_dense).astype(bool)]


def crowded(rows: pd.DataFrame) -> bool:
    """Whether more methods are compared than lines in one panel can show."""
    return compressed(rows)["method"].nunique() > MANY


def standing(panels: Mapping[str, pd.DataFrame], *, less_is_better: bool, logarithmic: bool) -> list[str]:
    """The methods that have a value in any panel: competitors from the best to the worst, then controls.

    They are judged at the highest ratio that all of them have, or that any has where there is none: by the mean over the panels of how
    far the value, or its logarithm, lies from the median of all competitors. Competitors without a value there follow in the order given.
    """
    shown = compressed(pd.concat([rows.assign(panel=title) for title, rows in panels.items()])).dropna(subset="value")
    methods = unique(shown["method"])
    competitors = [method for method in methods if not is_control(method)]
    if competitors:
        values = np.log(shown["value"]) if logarithmic else shown["value"]
        table = shown.assign(value=values).pivot(index="method", columns=["ratio", "panel"], values="value").loc[competitors]
        scores = (table - table.median()).T.groupby(level="ratio").mean().T
        common = scores.columns[scores.notna().all()]
        best_first = scores[max(common if len(common) else scores.columns)].sort_values(ascending=less_is_better, kind="stable")
        competitors = [str(method) for method in best_first.index]
    return competitors + [method for method in methods if is_control(method)]
