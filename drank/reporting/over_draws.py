"""The number of a run that was made on several draws of its calibration text: their mean, and how far they lie apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from drank.reporting.layouts import METRICS


def drawn(row: Mapping[Any, Any]) -> bool:
    """Whether the number of a row is shown as a mean over draws; differences are those of the first."""
    return row["metric"] in METRICS and bool(pd.notna(row.get("draw_mean")))


def any_drawn(numbers: pd.DataFrame) -> bool:
    """Whether any of the numbers is of several draws."""
    return "draw_mean" in numbers and bool(numbers["draw_mean"].notna().any())


def shown(row: Mapping[Any, Any]) -> float:
    """The number of a row as tables print it."""
    return float(row["draw_mean"] if drawn(row) else row["value"])


def means(numbers: pd.DataFrame) -> pd.DataFrame:
    """The numbers with the mean of several draws in place of that of the first, and a standard deviation either way for its interval."""
    if "draw_mean" not in numbers:
        return numbers
    several = pd.Series([drawn(row) for row in numbers.to_dict("records")], index=numbers.index, dtype="bool")
    mean, spread = numbers["draw_mean"], numbers["spread"]
    found = {"value": mean, "ci_low": mean - spread, "ci_high": mean + spread}
    return numbers.assign(**{name: numbers[name].mask(several, values) for name, values in found.items()})
