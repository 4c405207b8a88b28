"""Long lists in messages: their beginning, and how much more there is."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 5


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
