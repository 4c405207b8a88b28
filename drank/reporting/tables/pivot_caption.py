"""What the caption of a pivot says: the metric, what all of its numbers share, and how they are to be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drank.reporting.material import Material
from drank.reporting.names import percent, unique
from drank.reporting.tables.axes import printed
from drank.reporting.tables.claims import Claim, Form
from drank.reporting.tables.metrics import metric_of


def caption(material: Material, form: Form, shown: Sequence[Claim], marks: str, *, spans: bool) -> str:
    """The caption of the claims that are shown; `marks` says what is bold, `spans` that one holds for several columns."""
    metric = metric_of(form.metric)
    if not shown:
        return f"Nothing to show of {', '.join(material.models)}: no run measured {metric.title}."
    counts = sorted({len(claim.runs) for claim in shown if len(claim.runs) > 1})
    sentences = [_subject(material, form, shown, metric.title)]
    if counts:
        many = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
        sentences.append(f"Mean ± standard deviation over {many} values of {form.over}.")
    if any(claim.drawn for claim in shown):
        sentences.append(f"Over draws of the calibration text the mean ± standard deviation{', tested on the first' * form.tested}.")
    if marks:
        sentences.append(marks)
    if spans:
        sentences.append("A number that several columns share stands in the first of them.")
    if any(claim.published is not None for claim in shown):
        sentences.append("In parentheses: published.")
    return " ".join(sentences)


def _subject(material: Material, form: Form, shown: Sequence[Claim], title: str) -> str:
    """The metric with all that the runs have in common and that no row or column says."""
    runs = [run for claim in shown for run in claim.runs]

    def fixed(axis: str) -> Any:
        values = unique(run[axis] for run in runs if axis != "ratio" or run["ratio"])
        return values[0] if len(values) == 1 and axis not in (*form.rows, *form.columns, form.over) else None

    words = [title]
    words += [f"of {fixed('model')}"] if fixed("model") else []
    words += [f"on {fixed('dataset')}"] if fixed("dataset") else []
    words += [f"at {percent(fixed('ratio'))} removed"] if fixed("ratio") else []
    told = ["calibrated " * (axis == "corpus") + printed(axis, fixed(axis)) for axis in material.axes if fixed(axis) is not None]
    return ", ".join([" ".join(words), *told]) + "."
