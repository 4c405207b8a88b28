"""What an artefact is made of: the numbers of its runs with the axes they stand on, and the plans and spectra behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from drank.allocation.plan import Plan
from drank.reporting.names import unique
from drank.reporting.over_draws import means
from drank.reporting.records import Record

IDENTITY = ("model", "method", "label", "ratio")
"""The columns that say of which run a row is: `method` as the configuration calls it, `label` as files do, with the values asked for."""


@dataclass(frozen=True)
class Material:
    """The material of one artefact, called `name`.

    `numbers` has a row for each run and number: `IDENTITY`, a column for each of the `axes` (None where a method does not stand on one),
    and the columns of the summary. `options` are those of the artefact's entry. `published` are the numbers of the paper that the runs
    meet, with the same columns as far as they have them. `records` are those of the runs, for what compares two of them window by window.
    """

    name: str
    numbers: pd.DataFrame
    axes: tuple[str, ...] = ()
    spectra: Sequence[Mapping[str, Any]] = ()
    plans: Sequence[Plan] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    published: pd.DataFrame | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    records: Sequence[Record] = ()

    @property
    def models(self) -> list[str]:
        """The models of the runs, in their order."""
        return unique(self.numbers["model"]) or unique(spectrum["model"] for spectrum in self.spectra)

    @property
    def summary(self) -> pd.DataFrame:
        """The numbers as a summary has them: a method goes by its label."""
        return self.numbers.drop(columns=["method", *self.axes]).rename(columns={"label": "method"})

    def over_draws(self) -> Material:
        """The same with means where there are several draws of a calibration text, as `over_draws.means` has them."""
        return replace(self, numbers=means(self.numbers))

    def of(self, model: str) -> Material:
        """The part of it that is about one model."""
        return replace(
            self,
            numbers=self.numbers[self.numbers["model"] == model],
            spectra=[spectrum for spectrum in self.spectra if spectrum["model"] == model],
            plans=[plan for plan in self.plans if plan.model == model],
            records=[record for record in self.records if record.model == model],
            published=None if self.published is None else self.published[self.published["model"] == model],
        )


def numbers_of(summary: pd.DataFrame, points: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows of a summary for these runs, each with the values of its axes.

    A point has `model`, `method`, `label`, `ratio` and the values of all axes; where several are one run, its numbers stand at each.
    Where an axis tells draws of the calibration text apart, each number is of its own draw, and none a mean over them.
    """
    frame = pd.DataFrame(points, dtype=object).astype({"model": "str", "method": "str", "label": "str", "ratio": "float64"})
    if "draw" in frame:
        summary = summary.assign(draws=pd.NA, draw_mean=math.nan, spread=math.nan).astype({"draws": "Int64"})
    return frame.merge(summary.rename(columns={"method": "label"}), on=["model", "label", "ratio"], how="inner", validate="many_to_many")
