"""The numbers of one model in a summary, found by method, ratio, data set and metric."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from drank.reporting.names import competes, is_control, is_dense, unique
from drank.runtime.grouping import in_group
from drank.statistics.holm import LEVEL

SIZE = "size"
"""The data set name under which the sizes of a stored model are found."""


class Value(NamedTuple):
    """A number with its interval, standard error, chance level and what the paper has in its place; NaN where it has none.

    A difference also has its p-value, and that after Holm where it is of a best to its runner-up; what could have been told apart, the
    method that it is to, and the place of its own.
    Over several draws of the calibration text it also has their mean and standard deviation.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    stderr: float = math.nan
    chance: float = math.nan
    published: float = math.nan
    p: float = math.nan
    p_holm: float = math.nan
    detectable: float = math.nan
    rival: str = ""
    place: int = 0
    draw_mean: float = math.nan
    spread: float = math.nan

    @property
    def told_apart(self) -> bool:
        """Whether this best stands clear of its runner-up, all other comparisons of the summary considered."""
        return self.p_holm < LEVEL

    @property
    def shown(self) -> float:
        """The number as a table prints it: over several draws of the calibration text their mean."""
        return self.value if math.isnan(self.draw_mean) else self.draw_mean

    @property
    def better(self) -> bool:
        """Whether this difference lies significantly below zero."""
        return self.high < 0

    @property
    def worse(self) -> bool:
        """Whether this difference lies significantly above zero."""
        return self.low > 0


class Entry(NamedTuple):
    """One compressed (or dense) model: its method and the share removed."""

    method: str
    ratio: float


class Numbers:
    """All numbers of one model; raises ValueError where the summary has none.

    `entries` are all of its versions, `theirs` those of them that are somebody else's checkpoints, which meet no ratio and do not compete;
    `ratios` are those at which methods do. `published` are numbers of the paper, as a material has them.
    """

    def __init__(self, summary: pd.DataFrame, model: str, published: pd.DataFrame | None = None) -> None:
        rows = summary[summary["model"] == model]
        if rows.empty:
            raise ValueError(f"the summary has no rows of model {model!r}; it has {', '.join(unique(summary['model'])) or 'none at all'}")
        self.model = model
        self._values: dict[tuple[Entry, str, str], Value] = {}
        self._kinds: dict[Entry, str] = {}
        for row in rows.itertuples(index=False):
            entry = Entry(row.method, float(row.ratio))
            self._values[entry, row.dataset, row.metric] = _value_of(row)
            self._kinds[entry] = row.kind
            for name in ("parameters", "bytes", "ratio_stored", "ratio_model"):
                if not math.isnan(size := float(getattr(row, name))):
                    self._values[entry, SIZE, name] = Value(size)
        for row in () if published is None else published[published["model"] == model].itertuples(index=False):
            place = Entry(row.label, float(row.ratio)), row.dataset, row.metric
            if place in self._values:
                self._values[place] = self._values[place]._replace(published=row.value)
        self.entries = list(dict.fromkeys(entry for entry, _, _ in self._values))
        foreign = set(rows.loc[rows["checkpoint"] != "", "method"])
        self.theirs = [entry for entry in self.entries if entry.method in foreign]
        self.ratios = sorted({entry.ratio for entry in self.entries if competes(entry.method) and entry not in self.theirs})

    def get(self, entry: Entry, dataset: str, metric: str) -> Value | None:
        """The number at this place, None where it was not measured."""
        return self._values.get((entry, dataset, metric))

    @property
    def drawn(self) -> bool:
        """Whether any number is one of several draws of the calibration text: its mean is shown, and the first draw is tested."""
        return any(not math.isnan(value.draw_mean) for value in self._values.values())

    def kind(self, entry: Entry) -> str:
        """What was done after the ranks and what is stored, as `reporting.kinds` says it; empty for what does not compete."""
        return self._kinds[entry]

    def datasets(self, metric: str) -> list[str]:
        """The data sets on which a metric was measured, groups for the tasks inside them, in the summary's order, one for all metrics."""
        measured = {dataset for _, dataset, found in self._values if found == metric and not in_group(dataset)}
        return [dataset for dataset in unique(dataset for _, dataset, _ in self._values) if dataset in measured]

    @property
    def dense(self) -> Entry | None:
        """The uncompressed model, None where it was not measured."""
        return next((entry for entry in self.entries if is_dense(entry.method)), None)

    @property
    def controls(self) -> list[Entry]:
        """The controls, by method and ratio."""
        return [entry for entry in self.entries if is_control(entry.method)]

    def competing(self, ratio: float) -> list[Entry]:
        """The methods that compete at a ratio, in the summary's order."""
        found = [entry for entry in self.entries if entry.ratio == ratio and competes(entry.method)]
        return [entry for entry in found if entry not in self.theirs]

    def compared(self, ratio: float, metric: str) -> list[str]:
        """The data sets on which methods compete at a ratio: where several do on one, not those on which one alone was measured."""
        counts = {dataset: len(self.ranking(ratio, dataset, metric)) for dataset in self.datasets(metric)}
        return [dataset for dataset, count in counts.items() if count > 1] or [dataset for dataset, count in counts.items() if count]

    def ranking(self, ratio: float, dataset: str, metric: str, *, low: bool = True) -> list[tuple[Entry, Value]]:
        """The competing methods at a ratio that have this number, best first as it is shown (`low`: the smallest is best)."""
        found = [(entry, value) for entry in self.competing(ratio) if (value := self.get(entry, dataset, metric)) is not None]
        return sorted(found, key=lambda pair: pair[1].shown if low else -pair[1].shown)


def _value_of(row: Any) -> Value:
    """The number in a row of a summary."""
    place = 0 if pd.isna(row.place) else int(row.place)
    more = {"p": row.p, "p_holm": row.p_holm, "detectable": row.detectable, "rival": row.rival, "place": place}
    more |= {"draw_mean": row.draw_mean, "spread": row.spread}
    return Value(row.value, row.ci_low, row.ci_high, row.stderr, row.chance, **more)


def per_model(summary: pd.DataFrame) -> Iterator[Numbers]:
    """The numbers of every model of a summary, in its order."""
    for model in unique(summary["model"]):
        yield Numbers(summary, model)
