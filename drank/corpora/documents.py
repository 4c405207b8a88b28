"""Documents: texts with a name, in splits, told apart by their hash."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class Document(NamedTuple):
    """One text with its name and the split (train, validation or test) it belongs to."""

    split: str
    name: str
    text: str


def text_hash(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
