"""The noise floor of timings: by what factor two timings of one computation differ in a run, and whether chance explains it."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

NOISE = "noise_ratio"
"""The metric of the rows that say it, the same in all records of a job."""


class Control(NamedTuple):
    """What models that compute the same differ by at most, 1 or more: two whose ratio is no larger than this `floor` are not told apart.

    It `holds` where they come out equal within the 95 % interval of their paired ratios; None where the rounds are too few to say. Where
    it does not hold the floor is the upper end of that interval: the machine treats equals as unequal by as much.
    """

    floor: float
    holds: bool | None


def control_of(summary: pd.DataFrame, model: str, phase: str) -> Control | None:
    """The control of a model's jobs in a phase, the worst of them; None where none was measured."""
    rows = summary[(summary["model"] == model) & (summary["dataset"] == phase) & (summary["metric"] == NOISE)]
    if rows.empty:
        return None
    failed = rows["ci_low"] > 1
    holds = False if failed.any() else None if rows["ci_low"].isna().any() else True
    return Control(float(rows["value"].where(~failed, rows["ci_high"]).max()), holds)


def noise_floor(summary: pd.DataFrame, model: str, phase: str) -> float | None:
    """The largest ratio that is noise, of a model in a phase; None where none was measured."""
    control = control_of(summary, model, phase)
    return None if control is None else control.floor
