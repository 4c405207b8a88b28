"""Which of several calibrations the others are held against, told of a configuration as of its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Values = tuple[Any, ...]
"""The values of a calibration on several axes."""


def reference_of(axes: Sequence[str], runs: Mapping[Values, str], asked: Mapping[str, Any]) -> Values:
    """The one of these runs, labels by values on the axes, that has what is `asked` for by axis, and else most windows or comes first.

    Raises ValueError where none has what is asked for.
    """
    left = list(runs)
    for level, axis in enumerate(axes):
        values = [key[level] for key in left]
        wanted = asked.get(axis, max(values) if axis == "windows" else values[0])
        left = [key for key in left if key[level] == wanted]
        if not left:
            raise ValueError(f"option reference asks for {axis} {wanted}, but the runs are {', '.join(runs.values())}; name one of them")
    return left[0]
