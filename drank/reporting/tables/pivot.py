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
from drank.reporting.tables.marks import explained, marked
from drank.reporting.tables.metrics import Metric, metric_of
from drank.reporting.tables.numbers import Entry, Numbers, per_model
from drank.reporting.tables.pivot_caption import caption
from drank.reporting.tables.places import blocks_of, columns_of, placed


def pivot(material: Material) -> Table:
    """The table of the options `rows`, `columns` (none), `metric` (perplexity), `on` (all data sets) and `over` (nothing).

    `over` names an axis whose numbers become mean ± standard deviation. The frame has a row for each number printed, with the values of
    its axes. Raises ValueError for axes that no run stands on, and where two numbers claim one place.
    """
    options = material.options
    form = Form(tuple(options["rows"]), tuple(options.get("columns", ())), options.get("metric", "perplexity"), options.get("over"))
    _check(material, form)
    metric, found, models = metric_of(form.metric), claims(material, form), list(per_model(material.summary))
    heads = columns_of(found, len(form.columns))
    places = placed(material.name, found, heads)
    blocks, cells_of = blocks_of(places, form.rows), _marked(found, form, models)
    cells = {row: _cells(claimed, heads, cells_of) for row, claimed in places.items()}
    body = [[(*_names(form.rows, block, index), *cells[row]) for index, row in enumerate(block)] for block in blocks]
    columns = [*(Column(HEADS.get(axis, ""), align="l") for axis in form.rows), *(_header(form.columns, key, metric) for key in heads)]
    shown = [claim for block in blocks for row in block for claim in dict.fromkeys(places[row].values())]
    spans = any(len(set(claimed.values())) < len(claimed) for claimed in places.values())
    return table_of(material, caption(material, form, shown, _marks(form, models), spans=spans), columns, body, _frame(shown, form))


def _check(material: Material, form: Form) -> None:
    """Raise ValueError for axes that are none of the runs or that stand in two places."""
    axes = [*form.rows, *form.columns, *([form.over] if form.over else [])]
    wrong = [axis for axis in axes if axis not in known(material)] or [axis for axis in unique(axes) if axes.count(axis) > 1]
    if wrong:
        told = f"{material.name}: rows, columns and over are axes of the runs, each in one place"
        raise ValueError(f"{told}, but {', '.join(wrong)} is not; the runs stand on {', '.join(known(material))}")


def _marked(found: Sequence[Claim], form: Form, models: Sequence[Numbers]) -> dict[Claim, Cell]:
    """The cell of each claim; what competes is marked among all of its model, ratio and data set, as in every table (`tables.marks`)."""
    metric = metric_of(form.metric)
    cells = {claim: Cell(metric.text(claim.value), _small(claim, metric)) for claim in found}
    if not form.tested:
        return cells
    known, contests = {numbers.model: numbers for numbers in models}, dict[tuple[str, float, str], list[Claim]]()
    for claim in found:
        if claim.role == 1:
            contests.setdefault((claim.first["model"], claim.first["ratio"], claim.first["dataset"]), []).append(claim)
    for (model, ratio, dataset), rivals in contests.items():
        entries = [Entry(claim.first["label"], ratio) for claim in rivals]
        plain = [cells[claim] for claim in rivals]
        cells |= zip(rivals, marked(known[model], entries, dataset, form.metric, plain), strict=True)
    return cells


def _marks(form: Form, models: Sequence[Numbers]) -> str:
    """What the caption says of marks."""
    if form.tested:
        return explained(models, [form.metric])
    return "Nothing is bold, for these numbers are not tested." if metric_of(form.metric).better else ""


def _cells(claimed: Mapping[Key, Claim], columns: Sequence[Key], cells_of: Mapping[Claim, Cell]) -> list[Cell]:
    """The cells of a row; a number that holds for several columns stands in the first."""
    cells, before = [], set[Claim]()
    for column in columns:
        claim = claimed.get(column)
        cells.append(MISSING if claim is None else Cell("") if claim in before else cells_of[claim])
        before |= {claim} if claim else set()
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
        # An interval is of one number, and says nothing of the mean of several.
        ends = {name: claim.first[name] if claim.count == 1 else None for name in ("ci_low", "ci_high")}
        numbers = {"value": claim.value, "sd": claim.spread, "count": claim.count, **ends, "published": claim.published}
        rows.append({axis: claim.first[axis] for axis in named} | {"metric": form.metric} | numbers)
    frame = pd.DataFrame(rows, columns=[*named, "metric", "value", "sd", "count", "ci_low", "ci_high", "published"])
    return frame.dropna(axis="columns", how="all")
