"""What a reader should doubt although nothing went wrong: tasks at which even the uncompressed model guesses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drank.reporting.comparisons import AVERAGE
from drank.reporting.names import listed
from drank.reporting.tables.numbers import Numbers

CLEAR = 4.0
"""Standard errors above chance from which on a task shows what compression destroys."""


def doubts(models: Sequence[Numbers]) -> list[str]:
    """A sentence for each doubt that the numbers of these models raise."""
    return [sentence for numbers in models for sentence in _guessed(numbers)]


def _guessed(numbers: Numbers) -> Iterator[str]:
    """A task at which the uncompressed model guesses shows nothing."""
    if numbers.dense is None:
        return
    tasks = {task: numbers.get(numbers.dense, task, "accuracy") for task in numbers.datasets("accuracy") if task != AVERAGE}
    above = {task: (value.value - value.chance) / value.stderr for task, value in tasks.items() if value is not None and value.stderr > 0}
    weak = [task for task, errors in above.items() if errors < CLEAR]  # one without a chance level is in no comparison
    if weak:
        nearest = min(above[task] for task in weak)
        yield (
            f"The uncompressed {numbers.model} is close to guessing on {listed(weak)} ({nearest:.1f} standard errors above chance at the "
            "least), so that these tasks show little of what compression destroys."
        )
