"""What is drawn against the ratio: which numbers of a summary, and how their axis goes."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from drank.reporting.material import Material
from drank.runtime.grouping import AVERAGE

COLUMNS = ["value", "ci_low", "ci_high"]
"""A number and the ends of its interval."""


@dataclass(frozen=True)
class Quantity:
    """The rows of a metric, the label of their axis, and their words in a caption.

    `dataset` restricts the rows to one data set; `percent` multiplies them by 100; `dense` is where the dense model stands if no row says
    it; a `shared` axis is that of all panels in a row; `missing` is said where there are no rows.
    """

    metric: str
    label: str
    noun: str
    bars: str
    missing: str
    less_is_better: bool = False
    logarithmic: bool = True
    shared: bool = True
    percent: bool = False
    dataset: str | None = None
    dense: float | None = None

    def rows(self, material: Material) -> pd.DataFrame:
        """The rows of a summary that are drawn, once each, means over draws; no checkpoint of somebody else, which meets no ratio."""
        summary = material.over_draws().summary
        rows = summary[(summary["metric"] == self.metric) & (summary["checkpoint"] == "")].drop_duplicates()
        rows = rows if self.dataset is None else rows[rows["dataset"] == self.dataset]
        factors = dict.fromkeys([*COLUMNS, "chance"], 100.0 if self.percent else 1.0)
        return rows.assign(**{column: factor * rows[column] for column, factor in factors.items()})


PERPLEXITY = Quantity(
    "perplexity",
    "perplexity ↓",
    "Perplexity",
    "95\u202f% intervals over windows",
    "No perplexity was measured.",
    less_is_better=True,
    shared=False,
)

ACCURACY = Quantity(
    "accuracy",
    "average accuracy (%) ↑",
    "Average zero-shot accuracy",
    "95\u202f% intervals",
    "No average over all tasks is shown of these.",
    logarithmic=False,
    percent=True,
    dataset=AVERAGE,
)

THROUGHPUT = Quantity(
    "speedup_over_dense",
    "tokens/s, × dense ↑",
    "Throughput over that of the uncompressed model",
    "95\u202f% intervals of the median over the rounds",
    "No throughput was measured of a compressed model and of the dense one.",
    dense=1.0,
)
