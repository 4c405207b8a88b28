"""Which numbers stand in which place of a pivot, and what two of them in one place are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Any, NamedTuple

import pandas as pd

from drank.reporting.material import IDENTITY, Material
from drank.reporting.names import is_control, is_dense
from drank.reporting.over_draws import drawn
from drank.reporting.tables.artefact import wanted
from drank.reporting.tables.axes import Key, plain
from drank.reporting.tables.marks import DIFFERENCES


class Form(NamedTuple):
    """What a pivot is asked for: the axes of its rows and columns, the metric, and the axis whose numbers are one mean."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    metric: str
    over: str | None

    @property
    def tested(self) -> bool:
        """Whether differences in the metric are tested; those of means over an axis are not."""
        return self.metric in DIFFERENCES and self.over is None


@dataclass(frozen=True, eq=False)
class Claim:
    """The numbers of one place: of one run, or of the runs that an aggregated axis tells apart, with what the paper says of them."""

    row: Key
    column: Key
    runs: tuple[dict[str, Any], ...]
    published: float | None

    @property
    def first(self) -> dict[str, Any]:
        """The run that names the place."""
        return self.runs[0]

    @cached_property
    def value(self) -> float:
        """The number, the mean where there are several."""
        if len(self.runs) > 1:
            return fmean(run["value"] for run in self.runs)
        return self.first["value"] if self._spread is None else self.first["draw_mean"]

    @cached_property
    def spread(self) -> float | None:
        """The standard deviation of a sample of several numbers, of those of one run over draws of the calibration text; None of one."""
        return stdev(run["value"] for run in self.runs) if len(self.runs) > 1 else self._spread

    @property
    def drawn(self) -> bool:
        """Whether the number is the mean over draws of the calibration text of one run."""
        return len(self.runs) == 1 and self._spread is not None

    @property
    def count(self) -> int:
        """Of how many numbers it is the mean."""
        return int(self.first["draws"]) if self.drawn else len(self.runs)

    @property
    def _spread(self) -> float | None:
        return self.first["spread"] if drawn(self.first) else None

    @property
    def role(self) -> int:
        """0 of the dense model and somebody else's checkpoints, 1 of what competes, 2 of controls."""
        if is_dense(self.first["method"]) or self.first["checkpoint"]:
            return 0
        return 2 if is_control(self.first["method"]) else 1


def claims(material: Material, form: Form) -> list[Claim]:
    """A claim for each place that a number of the metric has in a table of this form, in the order of the numbers.

    A run whose ratio is 0 meets none, so that its place is in no column of a ratio. Raises ValueError where two numbers claim one place
    and the axis of the mean does not tell them apart.
    """
    numbers, datasets = material.numbers, wanted(material, form.metric)
    chosen = numbers[(numbers["metric"] == form.metric) & numbers["dataset"].isin(datasets)]
    if "dataset" in (*form.rows, *form.columns):
        chosen = chosen.sort_values("dataset", key=lambda names: names.map(datasets.index), kind="stable")
    found: dict[tuple[Key, Key], list[dict[str, Any]]] = {}
    for record in chosen.to_dict("records"):
        run = {str(name): plain(value) for name, value in record.items()}
        row = tuple(run[axis] for axis in form.rows)
        column = tuple(None if axis == "ratio" and not run["ratio"] else run[axis] for axis in form.columns)
        place = found.setdefault((row, column), [])
        # the numbers of one run stand at every point of the grid that is this run, and count once
        if all(_name(run) != _name(other) for other in place):
            place.append(run)
    for runs in found.values():
        _refuse_clash(material.name, runs, form.over)
    return [Claim(*place, tuple(runs), _published(material, runs)) for place, runs in found.items()]


def _name(run: dict[str, Any]) -> tuple[Any, ...]:
    return run["model"], run["label"], run["ratio"], run["dataset"]


def refuse(name: str, runs: Sequence[dict[str, Any]]) -> None:
    """Raise ValueError for runs that claim one place of the table of this name."""
    told = "; ".join("{} {} at {:g} on {}".format(*_name(run)) for run in runs)
    raise ValueError(
        f"{name}: {len(runs)} numbers claim one place: {told}. Add what tells them apart to rows, columns or over, or leave all but one out"
    )


def _refuse_clash(name: str, runs: Sequence[dict[str, Any]], over: str | None) -> None:
    """Refuse several runs in one place unless each has a value of its own on the aggregated axis."""
    values = {run[over] for run in runs} if over else set()
    if len(runs) > 1 and (len(values) < len(runs) or None in values):
        refuse(name, runs)


def _published(material: Material, runs: Sequence[dict[str, Any]]) -> float | None:
    """The number of the paper for these runs, None where it has none; what the paper says nothing of, such as a draw, may be any."""
    published = material.published
    if published is None or published.empty:
        return None
    named = [axis for axis in (*IDENTITY, *material.axes, "dataset", "metric") if axis in published]
    met = pd.Series(data=False, index=published.index)
    for run in runs:
        met |= published[named].apply(lambda row, own=run: all(plain(row[axis]) in (None, own[axis]) for axis in named), axis="columns")
    values = list(dict.fromkeys(float(value) for value in published.loc[met, "value"]))
    if len(values) > 1:
        raise ValueError(f"{material.name}: the paper's numbers for {_name(runs[0])} are {values}; keep one, or tell them apart by {named}")
    return values[0] if values else None
