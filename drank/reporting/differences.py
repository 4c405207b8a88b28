"""Differences of two records on the same windows or items, as rows of a summary: with interval, p-value, and what could be told apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from drank.reporting.names import unique
from drank.reporting.records import Record, Result
from drank.runtime.grouping import AVERAGE, in_group
from drank.statistics.intervals import Estimate, average, weighted
from drank.statistics.paired import PairedDifference, paired_difference, paired_items


@dataclass(frozen=True)
class Difference(Result):
    """A result that compares: `p` of the paired test, `p_holm` corrected for all like it, and the difference that is `detectable`.

    `rival` is the method that it is compared with and `place` its own place among those that compete, where it is compared with a best.
    """

    p: float = math.nan
    p_holm: float = math.nan
    detectable: float = math.nan
    rival: str = ""
    place: int | None = None


class Comparison(NamedTuple):
    """A record, the record it is compared with, and the name of the latter's method."""

    record: Record
    reference: Record
    name: str


def mismatches(pair: Comparison) -> Iterator[str]:
    """A line for every data set on which the two records saw something else under the same name."""
    for dataset in sorted(pair.record.detail.keys() & pair.reference.detail.keys()):
        one, two = pair.record.detail[dataset], pair.reference.detail[dataset]
        differ = [
            key for key in ("text_sha256", "tokens_sha256", "window_tokens", "version", "metric", "filter") if one.get(key) != two.get(key)
        ]
        differ += (
            ["passages"] if None not in (passages := (one.get("passages"), two.get("passages"))) and passages[0] != passages[1] else []
        )
        if len(one.get("correct", ())) != len(two.get("correct", ())):
            differ.append("number of items")
        differ += ["bos"] if pair.record.bos != pair.reference.bos else []
        if differ:
            sides = " and ".join(f"{side.method} at {side.ratio}" for side in (pair.record, pair.reference))
            yield f"\n  - {pair.record.kind} of {pair.record.model} on {dataset}: {sides} differ in {', '.join(differ)}"


def of_perplexity(pair: Comparison) -> dict[str, PairedDifference]:
    """How far the record lies above its reference on every corpus that both measured."""
    found = {}
    for corpus in shared(pair):
        one, two = pair.record.detail[corpus], pair.reference.detail[corpus]
        found[corpus] = paired_difference(one["window_loss"], one["window_tokens"], two["window_loss"], two["window_tokens"])
    return found


def of_accuracy(pair: Comparison) -> dict[str, Estimate]:
    """How far the record lies above its reference on every task that both did, and on their average where these are the same tasks."""
    one, two = (scored(side) for side in (pair.record, pair.reference))
    found = {}
    for task in (task for task in shared(pair) if task in one and task in two):
        passages = one[task].get("passages") or two[task].get("passages")
        found[task] = paired_items(one[task]["correct"], two[task]["correct"], passages)
    for group in groups(pair):
        shares = pair.record.detail[group]["shares"]
        found[group] = weighted([found[task] for task in shares], list(shares.values()))
    named = named_of(pair)
    return found | ({AVERAGE: average([found[task] for task in named])} if named else {})


def named_of(pair: Comparison) -> list[str]:
    """The tasks and groups that a configuration names, where both records are of the same ones; else none."""
    one, two = (scored(side).keys() for side in (pair.record, pair.reference))
    named, alike = [name for name in shared(pair) if not in_group(name)], {*groups(pair), *one}
    return named if one == two and alike.issuperset(named) else []


def groups(pair: Comparison) -> list[str]:
    """The groups of tasks that both records make up of the same tasks in the same shares."""
    sides = (pair.record.detail, pair.reference.detail)
    return [name for name in shared(pair) if "shares" in sides[0][name] and sides[0][name]["shares"] == sides[1][name].get("shares")]


def scored(record: Record) -> dict[str, dict[str, Any]]:
    """What a record says of each task."""
    return {task: found for task, found in record.detail.items() if "correct" in found}


def shared(pair: Comparison) -> list[str]:
    """The data sets that both records have in detail, in the order of the results, which is the configuration's; files sort the details."""
    return [
        name for name in unique(row.dataset for row in pair.record.results) if name in pair.record.detail and name in pair.reference.detail
    ]


def count_of(record: Record, dataset: str, metric: str) -> int | None:
    """How many tokens or items stand behind a number of a record."""
    return next((row.count for row in record.results if (row.dataset, row.metric) == (dataset, metric)), None)


def row_of(dataset: str, metric: str, found: Estimate, count: int | None, **more: Any) -> Difference:
    """A difference as a row."""
    return Difference(dataset, metric, *found.interval, count, found.stderr, p=found.p, detectable=found.detectable, **more)
