"""Where a method is not shown to do better than one who gives the same answer to every item, or guesses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drank.reporting.names import is_control, listed, method_name, percent
from drank.reporting.tables.numbers import Entry, Numbers
from drank.runtime.grouping import AVERAGE


def floors(models: Sequence[Numbers]) -> list[str]:
    """A sentence for each model and task with those that are at or below its floor, controls apart, the dense model included.

    The floor is the higher of what guessing scores and what always giving the most frequent right answer does (`majority`). At the floor is
    whose interval reaches down to it.
    """
    return [sentence for numbers in models for sentence in _of_model(numbers)]


def _of_model(numbers: Numbers) -> Iterator[str]:
    entries = [entry for entry in numbers.entries if not is_control(entry.method)]
    for task in (task for task in numbers.datasets("accuracy") if task != AVERAGE):
        found = {entry: low for entry in entries if (low := _at_floor(numbers, entry, task))}
        if found:
            floor = next(iter(found.values()))[1]
            named = [
                f"{method_name(entry.method)}{f' at {percent(entry.ratio)}' if entry.ratio else ''} ({100 * accuracy:.1f}\u202f%)"
                for entry, (accuracy, _) in found.items()
            ]
            told = f"always giving the same answer, or guessing, is right at {100 * floor:.1f}\u202f% of {task}"
            yield f"{numbers.model}: {told}, and not shown to do better are {listed(named)}."


def _at_floor(numbers: Numbers, entry: Entry, task: str) -> tuple[float, float] | None:
    """The accuracy and the floor of a task where the former is at or below it; None where it is above, or either is not known."""
    accuracy, level = numbers.get(entry, task, "accuracy"), numbers.get(entry, task, "majority")
    if accuracy is None or level is None:
        return None
    floor = max(level.value, accuracy.chance) if accuracy.chance == accuracy.chance else level.value
    return (accuracy.value, floor) if accuracy.low <= floor else None
