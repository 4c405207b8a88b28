"""The names of tasks inside a group of tasks: GROUP/TASK."""

from __future__ import annotations

ROOT = "/"
"""Between the name of a group in a configuration and that of one of its tasks: no name in a configuration has it."""


def in_group(dataset: str) -> bool:
    """Whether a data set is a task, or group of tasks, inside a group, which speaks for it wherever numbers are printed."""
    return ROOT in dataset
