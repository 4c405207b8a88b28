"""Numbers of a pivot that would claim one place of it (`reporting.tables.claims`), told before the hours that its runs would take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from drank.config.artefact import Artefact
from drank.config.measurable import kinds_of
from drank.reporting.layouts import BESIDE_DENSE, METRICS, OVER_DENSE, TO_DENSE
from drank.reporting.names import DENSE
from drank.runtime.grouping import AVERAGE

EVERYWHERE = frozenset(name for name, kind in METRICS.items() if kind == "perplexity") | {"accuracy", "tokens_per_second", OVER_DENSE}
"""Metrics that every text, task or phase has; of others it is known only once they are measured."""

COMPARED = (*TO_DENSE, *BESIDE_DENSE, OVER_DENSE)
"""Metrics that compare with the dense model, which has none itself."""

Key = tuple[Any, ...]
Claims = Mapping[Key, Any]
"""What claims a place: by run and data set the value on the axis whose numbers are one mean."""


def clashes(config: Mapping[str, Any], artefact: Artefact) -> Iterator[str]:
    """A line for the first place of a pivot that several numbers claim and that is no mean of them; nothing of other layouts.

    As in print a run whose ratio is 0 is in no column of a ratio, and one without a value on an axis of the columns in all that agree.
    """
    if artefact.layout_name != "pivot":
        return
    places, over = _places(artefact, _datasets(config, artefact)), artefact.options.get("over")
    one: Claims = next((claims for claims in places.values() if _meet(claims, over)), {})
    if clash := list(one) or _in_one_column(places):
        told = [f"{model} {label} at {ratio}{f' on {dataset}' if dataset else ''}" for model, label, ratio, dataset in clash]
        more = f" and {len(told) - 3} more" if len(told) > 3 else ""
        yield (
            f"{len(told)} numbers claim one place: {'; '.join(told[:3])}{more}. Add what tells them apart to rows, columns or over, or "
            "leave all but one out, of runs by `runs`, of texts and tasks by `on`"
        )


def _datasets(config: Mapping[str, Any], artefact: Artefact) -> list[str]:
    """The data sets of which a pivot has numbers for certain; one without a name where that is not known."""
    metric = artefact.options["metric"]
    named = [name for name in artefact.shown if METRICS[metric] in kinds_of(config, name)] if metric in EVERYWHERE else []
    return [*named, *[AVERAGE] * (metric == "accuracy" and "on" not in artefact.options)] if named else [""]


def _places(artefact: Artefact, datasets: Sequence[str]) -> dict[tuple[Key, Key], dict[Key, Any]]:
    """What claims each place, by row and column; a run that several points of a grid are counts once."""
    options = artefact.options
    over, found = options.get("over"), dict[tuple[Key, Key], dict[Key, Any]]()
    for point, dataset in product(artefact.points, datasets):
        if point.label == DENSE and options["metric"] in COMPARED:
            continue
        at = {"model": point.model, "method": point.method, "label": point.label, "ratio": point.ratio, "dataset": dataset, **point.axes}
        row = tuple(at.get(axis) for axis in options["rows"])
        column = tuple(None if axis == "ratio" and not point.ratio else at.get(axis) for axis in options["columns"])
        found.setdefault((row, column), {}).setdefault((*point.cell, dataset), at.get(over) if over else None)
    return found


def _meet(claims: Claims, over: str | None) -> bool:
    """Whether several numbers meet in one place without each having a value of its own on the axis whose numbers are one mean."""
    values = set(claims.values())
    return len(claims) > 1 and (over is None or len(values) < len(claims) or None in values)


def _in_one_column(places: Mapping[tuple[Key, Key], Claims]) -> list[Key]:
    """The first numbers of several places that stand in one, for one of them holds for several columns; none where there are none."""
    columns = list(dict.fromkeys(column for _, column in places))
    full = [column for column in columns if None not in column]
    heads = [column for column in columns if None not in column or not _covered(column, full)]
    taken = dict[tuple[Key, Key], Claims]()
    for (row, column), claims in places.items():
        for head in [column] if column in heads else _covered(column, heads):
            if (other := taken.setdefault((row, head), claims)) is not claims:
                return [*other, *claims]
    return []


def _covered(key: Key, columns: Sequence[Key]) -> list[Key]:
    """The columns for which a number holds: those that agree with it where it has a value."""
    return [column for column in columns if all(own in (None, other) for own, other in zip(key, column, strict=True))]
