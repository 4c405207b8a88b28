"""The noise floor of timings: by what factor two timings of one computation differ in a run."""

from __future__ import annotations

import pandas as pd

NOISE = "noise_ratio"
"""The metric of the rows that say it, the same in all records of a job."""


def noise_floor(summary: pd.DataFrame, model: str, phase: str) -> float | None:
    """The largest noise ratio, 1 or more, of a model's jobs in a phase; None where none was measured.

    Two throughputs whose ratio is no larger than that are not told apart.
    """
    rows = summary[(summary["model"] == model) & (summary["dataset"] == phase) & (summary["metric"] == NOISE)]
    return None if rows.empty else float(rows["value"].max())
