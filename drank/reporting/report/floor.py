"""Where a method is not shown to do better than one who gives the same answer to every item, or guesses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drank.reporting.comparisons import AVERAGE
from drank.reporting.names import is_control, method_name, percent
from drank.reporting.tables.numbers import Entry, Numbers


def floors(models: Sequence[Numbers]) -> list[str]:
    """A sentence for each model and method that is at or below the floor of a task at some ratio, controls apart, the dense model included.

    The floor is the higher of what guessing scores and what always giving the most frequent right answer does (`majority`). At the floor is
    whose interval reaches down to it.
    """
    return [sentence for numbers in models for sentence in _of_model(numbers)]


def _of_model(numbers: Numbers) -> Iterator[str]:
    tasks = [task for task in numbers.datasets("accuracy") if task != AVERAGE]
    for entry in (entry for entry in numbers.entries if not is_control(entry.method)):
        low = [told for task in tasks if (told := _told(numbers, entry, task))]
        if low:
            at = f" at {percent(entry.ratio)}" if entry.ratio else ""
            told = "is not shown to do better than always giving the same answer, or guessing,"
            yield f"{numbers.model}, {method_name(entry.method)}{at}: {told} on {'; '.join(low)}."


def _told(numbers: Numbers, entry: Entry, task: str) -> str:
    """The task with both numbers where the accuracy is at or below the floor, empty where it is above, or either is not known."""
    accuracy, level = numbers.get(entry, task, "accuracy"), numbers.get(entry, task, "majority")
    if accuracy is None or level is None:
        return ""
    floor = max(level.value, accuracy.chance) if accuracy.chance == accuracy.chance else level.value
    if accuracy.low > floor:
        return ""
    return f"{task} ({100 * accuracy.value:.1f}\u202f% right, where that gets {100 * floor:.1f}\u202f%)"
