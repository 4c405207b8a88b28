"""Comparisons of a record with those that every record is compared with: dense, and SVD-LLM on its text at its ratio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

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
from drank.runtime.grouping import AVERAGE

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PAIRED", "Comparison", "baselines", "comparisons", "mismatches"]

DRAWN = ("corpus", "split", "windows", "length", "seed")
"""What says which draw of a text a method was calibrated on; that gradients read fewer of its windows is the method's own affair."""


def comparisons(record: Record, records: Sequence[Record]) -> Iterator[Comparison]:
    """The record beside dense, and beside SVD-LLM on its calibration and at its ratio, where these exist and are not the record itself."""
    for other in records:
        same = other.kind == record.kind and other.model == record.model and record.method not in (other.method, DENSE)
        if same and other.method == DENSE:
            yield Comparison(record, other, DENSE)
        elif same and other.method == baseline_of(record.method) and other.ratio == record.ratio and _calibrated_alike(record, other):
            yield Comparison(record, other, BASELINE)


def _calibrated_alike(one: Record, two: Record) -> bool:
    """Whether two methods read the same draw of one text, or either of them none: of a `calibration` of its own a label tells nothing."""
    read = [facts for side in (one, two) if "corpus" in (facts := side.provenance["calibration"] or {})]
    return len(read) < 2 or all(read[0].get(key) == read[1].get(key) for key in DRAWN)


def baselines(rows: pd.DataFrame) -> dict[tuple[str, str, float, str], str]:
    """The label of the SVD-LLM that a perplexity is compared with in these rows, by model, label, ratio and data set."""
    told = rows[rows["metric"] == f"perplexity_minus_{BASELINE}"]
    places = (told[name] for name in ("model", "label", "ratio", "dataset"))
    return dict(zip(zip(*places, strict=True), told["rival"], strict=True))


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
