"""Hints at what a misspelt name may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def near(name: str, known: Collection[str]) -> str:
    """A hint such as ` (did you mean svd-llm?)`, empty where nothing is near."""
    close = difflib.get_close_matches(name, known, n=2)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
