"""Comparisons between two records of one model: paired differences on the same windows or items, and what forbids them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from drank.reporting.flips import flips
from drank.reporting.names import BASELINE, DENSE, baseline_of, unique
from drank.reporting.paired_intervals import paired_difference
from drank.reporting.records import Record, Result

AVERAGE = "average"
"""The data set name under which the mean over all tasks stands."""


class Comparison(NamedTuple):
    """A record, the record it is compared with, and the name of the latter's method."""

    record: Record
    reference: Record
    name: str


def comparisons(record: Record, records: Sequence[Record]) -> Iterator[Comparison]:
    """The record beside dense, and beside SVD-LLM on its calibration and at its ratio, where these exist and are not the record itself."""
    for other in records:
        same = other.kind == record.kind and other.model == record.model and record.method not in (other.method, DENSE)
        if same and other.method == DENSE:
            yield Comparison(record, other, DENSE)
        elif same and other.method == baseline_of(record.method) and other.ratio == record.ratio:
            yield Comparison(record, other, BASELINE)


def mismatches(pair: Comparison) -> Iterator[str]:
    """A line for every data set on which the two records saw something else under the same name."""
    for dataset in sorted(pair.record.detail.keys() & pair.reference.detail.keys()):
        one, two = pair.record.detail[dataset], pair.reference.detail[dataset]
        differ = [key for key in ("text_sha256", "tokens_sha256", "window_tokens", "version") if one.get(key) != two.get(key)]
        if len(one.get("correct", ())) != len(two.get("correct", ())):
            differ.append("number of items")
        differ += ["bos"] if pair.record.bos != pair.reference.bos else []
        if differ:
            sides = " and ".join(f"{side.method} at {side.ratio}" for side in (pair.record, pair.reference))
            yield f"\n  - {pair.record.kind} of {pair.record.model} on {dataset}: {sides} differ in {', '.join(differ)}"


def _shared(pair: Comparison) -> list[str]:
    """The data sets that both records have in detail, in the order of the results, which is the configuration's; files sort the details."""
    return [
        name for name in unique(row.dataset for row in pair.record.results) if name in pair.record.detail and name in pair.reference.detail
    ]


def _paired_perplexity(pair: Comparison) -> Iterator[Result]:
    """Differences on every corpus both records measured."""
    for corpus in _shared(pair):
        windows, other = pair.record.detail[corpus], pair.reference.detail[corpus]
        gap = paired_difference(windows["window_loss"], windows["window_tokens"], other["window_loss"], other["window_tokens"])
        count = sum(windows["window_tokens"])
        yield Result(corpus, f"perplexity_minus_{pair.name}", *gap.perplexity, count)
        if pair.name == DENSE:
            yield Result(corpus, "log_perplexity_gap_to_dense", *gap.log_perplexity, count)


def _paired_accuracy(pair: Comparison) -> Iterator[Result]:
    """Differences in accuracy over the same items of every task, their average where both did the same tasks, and flips against dense."""
    metric = f"accuracy_minus_{pair.name}"
    one, two = (
        {task: found["correct"] for task, found in side.detail.items() if "correct" in found} for side in (pair.record, pair.reference)
    )
    rows = []
    for task in (task for task in _shared(pair) if task in one and task in two):
        change = np.subtract(one[task], two[task], dtype=np.float64)
        stderr = float(change.std(ddof=1)) / math.sqrt(len(change)) if len(change) > 1 else 0.0
        rows.append(_with_stderr(task, metric, float(change.mean()), stderr, len(change)))
    yield from rows
    if rows and one.keys() == two.keys():
        stderr = math.sqrt(sum((row.stderr or 0.0) ** 2 for row in rows)) / len(rows)
        yield _with_stderr(AVERAGE, metric, sum(row.value for row in rows) / len(rows), stderr, sum(row.count or 0 for row in rows))
    if pair.name == DENSE:
        yield from flips(_shared(pair), pair.record.detail, pair.reference.detail, AVERAGE if one.keys() == two.keys() else None)


def _with_stderr(dataset: str, metric: str, value: float, stderr: float, count: int) -> Result:
    """A result whose 95 % interval is that of the normal distribution."""
    return Result(dataset, metric, value, value - 1.96 * stderr, value + 1.96 * stderr, count, stderr)


PAIRED: dict[str, Callable[[Comparison], Iterator[Result]]] = {
    "perplexity": _paired_perplexity,
    "zeroshot": _paired_accuracy,
}
"""What is compared between two records of one kind; throughput is not, for timings are compared within a process or not at all."""
