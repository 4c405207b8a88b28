"""Who keeps the most of the accuracy, as sentences: how often, and by how much at each ratio."""

from __future__ import annotations

from collections.abc import Sequence

from drank.reporting.contests import OF_KIND
from drank.reporting.names import BASELINE, method_name, percent
from drank.reporting.report.winners import EVERY, in_short, said_of, winners
from drank.reporting.tables.numbers import Entry, Numbers, Value
from drank.reporting.tables.quantities import interval, signed
from drank.runtime.grouping import AVERAGE


def best_accuracy(models: Sequence[Numbers]) -> list[str]:
    """Who has the highest average accuracy most often, of each kind and of all; nothing where nobody has a rival."""
    contested = [
        contest
        for numbers in models
        for ratio in numbers.ratios
        for contest in winners(numbers, ratio, AVERAGE, "accuracy", "accuracy", low=False)
        if contest.gap is not None
    ]
    return [f"Highest average accuracy {in_short(contested)}."] if contested else []


def accuracy_lines(numbers: Numbers) -> list[str]:
    """For each ratio and kind what the best method keeps of the average accuracy, against the runner-up, dense and SVD-LLM."""
    sentences = []
    for ratio in numbers.ratios:
        for best in winners(numbers, ratio, AVERAGE, "accuracy", "accuracy", low=False):
            if best.kind == EVERY:
                continue
            entry = Entry(best.method, ratio)
            text = f"{percent(ratio)} removed, {best.among}: {best.winner} keeps the highest average accuracy, "
            text += f"{100 * best.value.shown:.1f}\u202f%"
            text += " (over draws of the calibration text the mean; differences and tests are of the first)" * numbers.drawn
            text += _against_second(numbers.get(entry, AVERAGE, f"accuracy_{OF_KIND}"))
            text += _points(numbers.get(entry, AVERAGE, "accuracy_minus_dense"), "the uncompressed model")
            text += _points(numbers.get(entry, AVERAGE, f"accuracy_minus_{BASELINE}"), method_name(BASELINE))
            sentences.append(f"{text}.")
    return sentences


def _against_second(gap: Value | None) -> str:
    """What the best gains over the runner-up of its kind, and whether that is more than chance."""
    if gap is None:
        return "; it has no rival of its kind"
    points = f"{signed(100 * gap.value, 1)} points {interval(gap, 1, 100)}"
    return f"; {points} against the runner-up {method_name(gap.rival)} (after Holm's correction {said_of(gap, 1, 100)})"


def _points(change: Value | None, reference: str) -> str:
    """A difference in percentage points with its interval, and whether it is more than noise."""
    if change is None:
        return ""
    noise = "" if change.better or change.worse else ", not significant"
    return f"; {signed(100 * change.value, 1)} points {interval(change, 1, 100)} against {reference}{noise}"
