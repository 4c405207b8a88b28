"""Where the token that begins a text (BOS) stands: the conventions by which windows and prompts are made.

`text` is the published one: what a tokenizer puts before a text stands once, at its start, so that no window after the first has it.
Families that never saw a window without it while they were trained are lost then; `window` puts it before every window, where it is read
and not predicted. `none` leaves it out everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TEXT, WINDOW, NONE = "text", "window", "none"

CONVENTIONS = (TEXT, WINDOW, NONE)

AUTO = "auto"
"""What a configuration says for the convention that the family of its model needs."""


def convention_in(options: Mapping[str, Any]) -> str:
    """The convention that these options name, `text` where they name none; raises ValueError for any other, `auto` too."""
    found = str(options.get("bos", TEXT))
    if found == AUTO:
        raise ValueError(
            f"bos is {AUTO}, and the model was not on this machine when its family was to tell what that is; run again now that it is here"
        )
    if found not in CONVENTIONS:
        raise ValueError(f"bos is {found!r}, and where the token that begins a text stands is one of {', '.join(CONVENTIONS)}")
    return found
