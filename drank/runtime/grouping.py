"""Names of data sets that are of tasks: GROUP/TASK of one inside a group, and the mean over all."""

from __future__ import annotations

AVERAGE = "average"
"""What the mean over all tasks is called, which no task is."""

ROOT = "/"
"""Between the name of a group in a configuration and that of one of its tasks: no name in a configuration has it."""


def in_group(dataset: str) -> bool:
    """Whether a data set is a task, or group of tasks, inside a group, which speaks for it wherever numbers are printed."""
    return ROOT in dataset
