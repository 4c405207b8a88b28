"""The tidy table of all results: a row for each model, method, ratio, data set and metric, paired comparisons among them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from drank.reporting.intervals import paired_difference
from drank.reporting.records import Record, Result
from drank.steps.files import write_text

DENSE = "dense"
"""The uncompressed model, which every other method is compared with."""

BASELINE = "svd-llm"
"""The method that every other one is compared with at the same ratio."""

AVERAGE = "average"
"""The data set name under which the mean over all tasks stands."""

COLUMNS = {
    "model": "str",
    "method": "str",
    "ratio": "float64",
    "dataset": "str",
    "metric": "str",
    "value": "float64",
    "ci_low": "float64",
    "ci_high": "float64",
    "count": "Int64",
    "parameters": "int64",
    "bytes": "int64",
    "ratio_stored": "float64",
    "ratio_model": "float64",
    "stderr": "float64",
    "chance": "float64",
}
"""The columns of a summary in order, with their dtypes."""

KINDS = ("perplexity", "zeroshot", "throughput")


class SummaryError(ValueError):
    """Records that cannot stand in one table."""


class Comparison(NamedTuple):
    """A record, the record it is compared with, and the name of the latter's method."""

    record: Record
    reference: Record
    name: str


def summarise(records: Iterable[Record], methods: Sequence[str] = (), models: Sequence[str] = ()) -> pd.DataFrame:
    """The summary of the records, ordered by `models`, `methods` (what these do not name follows by name) and ratio.

    Paired rows compare each method with dense and with SVD-LLM at its ratio, on the same windows or items: `perplexity_minus_…`,
    `log_perplexity_gap_to_dense` (nats per token), `accuracy_minus_…` and `speedup_over_dense`. Raises SummaryError for records that
    clash, and for pairs that did not see the same text.
    """
    known = {name: place for place, name in enumerate(methods)}
    shelf = {name: place for place, name in enumerate(models)}

    def place(record: Record) -> tuple[int, str, int, str, float, int]:
        model, method = shelf.get(record.model, len(shelf)), known.get(record.method, len(known))
        return model, record.model, method, record.method, record.ratio, KINDS.index(record.kind)

    ordered = sorted(records, key=place)
    _refuse_clashes(ordered)
    compared = {id(record): list(_comparisons(record, ordered)) for record in ordered}
    problems = [problem for pairs in compared.values() for pair in pairs for problem in _mismatches(pair)]
    if problems:
        raise SummaryError("these records cannot be compared; delete the older of each pair and run again:" + "".join(problems))
    rows = []
    for record in ordered:
        results = [*record.results, *(row for pair in compared[id(record)] for row in PAIRED[record.kind](pair))]
        head = {"model": record.model, "method": record.method, "ratio": record.ratio}
        rows += [head | asdict(result) | asdict(record.size) for result in results]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def write_csv(summary: pd.DataFrame, path: str | Path) -> None:
    """Write a summary as CSV with every digit of its numbers, whole or not at all."""
    write_text(path, summary.to_csv(index=False, lineterminator="\n"))


def read_csv(path: str | Path) -> pd.DataFrame:
    """The summary in a file, equal to the one written; SummaryError where columns are missing."""
    text = Path(path).read_text("utf-8")
    names = [column for column, dtype in COLUMNS.items() if dtype == "str"]
    missing = set(COLUMNS) - set(text.partition("\n")[0].split(","))
    if missing:
        raise SummaryError(f"{path} lacks the columns {', '.join(sorted(missing))}; delete it and run again")
    empty = {column: [""] for column in COLUMNS if column not in names}  # a model may be called "NA", a number may not
    frame = pd.read_csv(StringIO(text), keep_default_na=False, na_values=empty, dtype=dict.fromkeys(names, str))
    return frame[list(COLUMNS)].astype(COLUMNS)


def _refuse_clashes(records: Sequence[Record]) -> None:
    """Raise SummaryError where two records claim the same place, or one model the same ratio with two sizes."""
    places = Counter((record.kind, record.model, record.method, record.ratio) for record in records)
    problems = [
        f"{count} {kind} records of {model}, {method}, ratio {ratio}" for (kind, model, method, ratio), count in places.items() if count > 1
    ]
    sizes: dict[tuple[str, str, float], set[object]] = {}
    for record in records:
        sizes.setdefault((record.model, record.method, record.ratio), set()).add(record.size)
    for (model, method, ratio), found in sizes.items():
        if len(found) > 1:
            problems.append(f"{len(found)} sizes of {model}, {method}, ratio {ratio}: {', '.join(sorted(map(str, found)))}")
    if problems:
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise SummaryError(f"records clash; delete those of an older run and run again:{listed}")


def _comparisons(record: Record, records: Sequence[Record]) -> Iterator[Comparison]:
    """The record beside dense and beside SVD-LLM at its ratio, where these exist and are not the record itself."""
    for other in records:
        same = other.kind == record.kind and other.model == record.model and record.method not in (other.method, DENSE)
        if same and (other.method == DENSE or (other.method == BASELINE and other.ratio == record.ratio)):
            yield Comparison(record, other, other.method)


def _mismatches(pair: Comparison) -> Iterator[str]:
    """A line for every data set on which the two records saw something else under the same name."""
    if pair.record.kind == "throughput":
        one, two = pair.record.provenance, pair.reference.provenance
        differ = [f"{key} ({one[key]} and {two[key]})" for key in ("device", "threads") if one[key] != two[key]]
        if differ and pair.name == DENSE:
            label = f"{pair.record.model}: {pair.record.method} at {pair.record.ratio}"
            yield f"\n  - throughput of {label} and dense differ in {', '.join(differ)}"
        return
    for dataset in sorted(pair.record.detail.keys() & pair.reference.detail.keys()):
        one, two = pair.record.detail[dataset], pair.reference.detail[dataset]
        differ = [key for key in ("text_sha256", "tokens_sha256", "window_tokens", "version") if one.get(key) != two.get(key)]
        if len(one.get("correct", ())) != len(two.get("correct", ())):
            differ.append("number of items")
        if differ:
            sides = " and ".join(f"{side.method} at {side.ratio}" for side in (pair.record, pair.reference))
            yield f"\n  - {pair.record.kind} of {pair.record.model} on {dataset}: {sides} differ in {', '.join(differ)}"


def _paired_perplexity(pair: Comparison) -> Iterator[Result]:
    """Differences on every corpus both records measured."""
    for corpus, windows in pair.record.detail.items():
        other = pair.reference.detail.get(corpus)
        if other is None:
            continue
        gap = paired_difference(windows["window_loss"], windows["window_tokens"], other["window_loss"], other["window_tokens"])
        count = sum(windows["window_tokens"])
        yield Result(corpus, f"perplexity_minus_{pair.name}", *gap.perplexity, count)
        if pair.name == DENSE:
            yield Result(corpus, "log_perplexity_gap_to_dense", *gap.log_perplexity, count)


def _paired_accuracy(pair: Comparison) -> Iterator[Result]:
    """Differences in accuracy over the same items of every task, and their average where both did the same tasks."""
    metric = f"accuracy_minus_{pair.name}"
    one, two = (
        {task: found["correct"] for task, found in side.detail.items() if "correct" in found} for side in (pair.record, pair.reference)
    )
    rows = []
    for task in (task for task in one if task in two):
        change = np.subtract(one[task], two[task], dtype=np.float64)
        stderr = float(change.std(ddof=1)) / math.sqrt(len(change)) if len(change) > 1 else 0.0
        rows.append(_with_stderr(task, metric, float(change.mean()), stderr, len(change)))
    yield from rows
    if rows and one.keys() == two.keys():
        stderr = math.sqrt(sum((row.stderr or 0.0) ** 2 for row in rows)) / len(rows)
        yield _with_stderr(AVERAGE, metric, sum(row.value for row in rows) / len(rows), stderr, sum(row.count or 0 for row in rows))


def _with_stderr(dataset: str, metric: str, value: float, stderr: float, count: int) -> Result:
    """A result whose 95 % interval is that of the normal distribution."""
    return Result(dataset, metric, value, value - 1.96 * stderr, value + 1.96 * stderr, count, stderr)


def _speedups(pair: Comparison) -> Iterator[Result]:
    """Throughput over that of dense; the interval runs from lower quartile over upper quartile to upper over lower."""
    dense = {(row.dataset, row.metric): row for row in pair.reference.results}
    for row in pair.record.results if pair.name == DENSE else ():
        base = dense.get((row.dataset, row.metric))
        if row.metric == "tokens_per_second" and base is not None:
            ends = (row.ci_low, row.ci_high, base.ci_low, base.ci_high)
            low = ends[0] / ends[3] if ends[0] is not None and ends[3] else None
            high = ends[1] / ends[2] if ends[1] is not None and ends[2] else None
            yield Result(row.dataset, "speedup_over_dense", row.value / base.value, low, high, row.count)


PAIRED: dict[str, Callable[[Comparison], Iterator[Result]]] = {
    "perplexity": _paired_perplexity,
    "zeroshot": _paired_accuracy,
    "throughput": _speedups,
}
"""What is compared between two records of one kind."""
