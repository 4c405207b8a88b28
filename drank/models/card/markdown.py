"""Markdown with parts that can be found again: front matter, tables, and sections that are replaced without touching the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from drank.models.licence import split_front_matter


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; a column whose head ends in `:` is aligned to the right."""
    names = [name.removesuffix(":") for name in head]
    rules = ["--:" if name.endswith(":") else "---" for name in head]
    lines = [names, rules, *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def section(name: str, body: str) -> str:
    """A part of a text that `replaced` finds again by its name."""
    return "\n".join([f"<!-- drank:{name} -->", *([body.strip()] if body else []), f"<!-- /drank:{name} -->"])


def replaced(text: str, name: str, body: str) -> str:
    """The text with another body in the section of this name; one that was not there comes last."""
    pattern = _pattern(name)
    if pattern.search(text):
        return pattern.sub(lambda _: section(name, body), text, count=1)
    return f"{text.rstrip()}\n\n{section(name, body)}\n"


def section_in(text: str, name: str) -> str | None:
    """The body of a section, None where the text has none of this name."""
    found = _pattern(name).search(text)
    return found["body"].strip() if found else None


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"<!-- drank:{name} -->\n(?P<body>.*?)\n?<!-- /drank:{name} -->", re.DOTALL)


def with_front_matter(metadata: Mapping[str, Any], body: str) -> str:
    """A text under its metadata, which stand as YAML between `---` lines; entries that are empty or None are left out."""
    import yaml

    kept = {key: value for key, value in metadata.items() if value not in (None, [], "")}
    return f"---\n{yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=120)}---\n{body.lstrip()}"


def changed_front_matter(text: str, **changes: Any) -> str:
    """The text with these entries of its front matter, `_` in their names for `-`; None takes one away."""
    metadata, body = split_front_matter(text)
    return with_front_matter(metadata | {key.replace("_", "-"): value for key, value in changes.items()}, body)


def count(number: int) -> str:
    """A number of parameters: `3.42 M`."""
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return str(number)


def amount(number: int) -> str:
    """A number of bytes: `14.2 MB`."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"


def percent(share: float) -> str:
    """A share: `20 %`, `19.94 %`."""
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + " %"


def duration(seconds: float) -> str:
    """A time: `4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
