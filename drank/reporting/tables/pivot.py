"""The pivot: one metric of all runs, with the axes that an artefact names as rows and columns (tables 2, 5, 6, 7 and 8 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from drank.reporting.material import Material
from drank.reporting.names import unique
from drank.reporting.tables.artefact import table_of
from drank.reporting.tables.axes import HEADS, Key, known, printed
from drank.reporting.tables.claims import Claim, Form, claims
from drank.reporting.tables.layout import MISSING, Cell, Column, Table
from drank.reporting.tables.metrics import Metric, metric_of
from drank.reporting.tables.pivot_caption import CONTEST, caption
from drank.reporting.tables.places import Places, blocks_of, columns_of, placed

Best = Mapping[tuple[Key, Key], str]
"""The best of the rivals in a column as it is printed, by what they share and the column; none where one stands alone."""


def pivot(material: Material) -> Table:
    """The table of the options `rows`, `columns` (none), `metric` (perplexity), `on` (all data sets) and `over` (nothing).

    `over` names an axis whose numbers become mean ± standard deviation. The frame has a row for each number printed, with the values of
    its axes. Raises ValueError for axes that no run stands on, and where two numbers claim one place.
    """
    options = material.options
    form = Form(tuple(options["rows"]), tuple(options.get("columns", ())), options.get("metric", "perplexity"), options.get("over"))
    _check(material, form)
    metric, found = metric_of(form.metric), claims(material, form)
    heads = columns_of(found, len(form.columns))
    places = placed(material.name, found, heads)
    blocks, best = blocks_of(places, form.rows), _best(places, metric, form.rows)
    cells = {row: _cells(claimed, heads, metric, best, _shared(row, form.rows)) for row, claimed in places.items()}
    body = [[(*_names(form.rows, block, index), *cells[row]) for index, row in enumerate(block)] for block in blocks]
    columns = [*(Column(HEADS.get(axis, ""), align="l") for axis in form.rows), *(_header(form.columns, key, metric) for key in heads)]
    shown = [claim for block in blocks for row in block for claim in dict.fromkeys(places[row].values())]
    spans = any(len(set(claimed.values())) < len(claimed) for claimed in places.values())
    return table_of(material, caption(material, form, shown, spans=spans), columns, body, _frame(shown, form))


def _check(material: Material, form: Form) -> None:
    """Raise ValueError for axes that are none of the runs or that stand in two places."""
    axes = [*form.rows, *form.columns, *([form.over] if form.over else [])]
    wrong = [axis for axis in axes if axis not in known(material)] or [axis for axis in unique(axes) if axes.count(axis) > 1]
    if wrong:
        told = f"{material.name}: rows, columns and over are axes of the runs, each in one place"
        raise ValueError(f"{told}, but {', '.join(wrong)} is not; the runs stand on {', '.join(known(material))}")


def _best(places: Places, metric: Metric, axes: Sequence[str]) -> Best:
    """The best of each contest of several competitors, nothing for a metric that is better on no side."""
    contests: dict[tuple[Key, Key], list[float]] = {}
    for row, claimed in places.items():
        for column, claim in claimed.items():
            if claim.role == 1 and metric.better:
                contests.setdefault((_shared(row, axes), column), []).append(claim.value)
    choose = min if metric.better == "low" else max
    return {place: metric.text(choose(values)) for place, values in contests.items() if len(values) > 1}


def _shared(row: Key, axes: Sequence[str]) -> Key:
    """What all rivals of a row share."""
    return tuple(value for axis, value in zip(axes, row, strict=True) if axis in CONTEST)


def _cells(claimed: Mapping[Key, Claim], columns: Sequence[Key], metric: Metric, best: Best, shared: Key) -> list[Cell]:
    """The cells of a row; a number that holds for several columns stands in the first and is bold where it is the best of all of them."""
    cells, before = [], set[Claim]()
    for column in columns:
        claim = claimed.get(column)
        if claim is None:
            cells.append(MISSING)
        elif claim in before:
            cells.append(Cell(""))
        else:
            held = [place for place, other in claimed.items() if other is claim]
            text = metric.text(claim.value)
            cells.append(Cell(text, _small(claim, metric), claim.role == 1 and all(best.get((shared, place)) == text for place in held)))
            before.add(claim)
    return cells


def _small(claim: Claim, metric: Metric) -> str:
    """The spread and the published value."""
    spread = [] if claim.spread is None else [f"±{metric._replace(digits=metric.digits + 1).text(claim.spread)}"]
    return " ".join(spread + ([] if claim.published is None else [f"({metric.text(claim.published)})"]))


def _names(axes: Sequence[str], block: Sequence[Key], index: int) -> list[Cell]:
    """The values of a row's axes, those blank that are the same as in the row above, but for the last."""
    row, above = block[index], block[index - 1] if index else None
    same = [above is not None and level < len(axes) - 1 and row[: level + 1] == above[: level + 1] for level in range(len(axes))]
    return [Cell("" if repeated else printed(axis, value)) for axis, value, repeated in zip(axes, row, same, strict=True)]


def _header(axes: Sequence[str], key: Key, metric: Metric) -> Column:
    """A column under the values of the outer axes; the metric where there are no axes."""
    values = [printed(axis, value) for axis, value in zip(axes, key, strict=True)] or [metric.title]
    return Column(values[-1], ", ".join(value for value in values[:-1] if value), metric.better)


def _frame(found: Sequence[Claim], form: Form) -> pd.DataFrame:
    """A row for each number printed: the run, its axes, and the number with its spread, interval and published value."""
    named = unique([*form.rows, *form.columns, "model", "ratio", "dataset"])
    rows = []
    for claim in found:
        alone = len(claim.runs) == 1
        ends = {name: claim.first[name] if alone else None for name in ("ci_low", "ci_high")}
        numbers = {"value": claim.value, "sd": claim.spread, "count": len(claim.runs), **ends, "published": claim.published}
        rows.append({axis: claim.first[axis] for axis in named} | {"metric": form.metric} | numbers)
    frame = pd.DataFrame(rows, columns=[*named, "metric", "value", "sd", "count", "ci_low", "ci_high", "published"])
    return frame.dropna(axis="columns", how="all")
