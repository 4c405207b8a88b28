"""Comparisons of a record with those that every record is compared with: dense, and SVD-LLM at its ratio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from drank.evaluation.zeroshot.definitions import AVERAGE
from drank.reporting.differences import (
    Comparison,
    Difference,
    count_of,
    groups,
    mismatches,
    named_of,
    of_accuracy,
    of_perplexity,
    row_of,
    shared,
)
from drank.reporting.flips import flips
from drank.reporting.names import BASELINE, DENSE, baseline_of
from drank.reporting.records import Record, Result

__all__ = ["AVERAGE", "PAIRED", "Comparison", "comparisons", "mismatches"]


def comparisons(record: Record, records: Sequence[Record]) -> Iterator[Comparison]:
    """The record beside dense, and beside SVD-LLM on its calibration and at its ratio, where these exist and are not the record itself."""
    for other in records:
        same = other.kind == record.kind and other.model == record.model and record.method not in (other.method, DENSE)
        if same and other.method == DENSE:
            yield Comparison(record, other, DENSE)
        elif same and other.method == baseline_of(record.method) and other.ratio == record.ratio:
            yield Comparison(record, other, BASELINE)


def _paired_perplexity(pair: Comparison) -> Iterator[Difference]:
    """Differences on every corpus both records measured."""
    for corpus, gap in of_perplexity(pair).items():
        count, rival = sum(pair.record.detail[corpus]["window_tokens"]), pair.reference.method
        yield Difference(corpus, f"perplexity_minus_{pair.name}", *gap.perplexity, count, p=gap.estimate.p, rival=rival)
        if pair.name == DENSE:
            yield row_of(corpus, "log_perplexity_gap_to_dense", gap.estimate, count, rival=rival)


def _paired_accuracy(pair: Comparison) -> Iterator[Result]:
    """Differences in accuracy over the same items of every task, their average where both did the same tasks, and flips against dense."""
    for task, gap in of_accuracy(pair).items():
        yield row_of(task, f"accuracy_minus_{pair.name}", gap, count_of(pair.record, task, "accuracy"), rival=pair.reference.method)
    if pair.name == DENSE:
        named = {AVERAGE: dict.fromkeys(named, 1 / len(named))} if (named := named_of(pair)) else {}
        shares = {group: pair.record.detail[group]["shares"] for group in groups(pair)}
        yield from flips(shared(pair), pair.record.detail, pair.reference.detail, shares | named)


PAIRED: dict[str, Callable[[Comparison], Iterator[Result]]] = {
    "perplexity": _paired_perplexity,
    "zeroshot": _paired_accuracy,
}
"""What is compared between two records of one kind; throughput is not, for timings are compared within a process or not at all."""
