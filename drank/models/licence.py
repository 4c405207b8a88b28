"""The licence of a model, as its own folder states it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LICENCE_FILES = ("README.md", "LICENSE*", "LICENCE*")
"""Where a model says under which licence it is, fetched with it from the hub."""

POLICY_FILES = ("NOTICE*", "USE_POLICY*")
"""What a licence asks to be passed on beside its own text."""

UNKNOWN = "unknown"

_TEXTS = {
    "apache license": "apache-2.0",
    "mit license": "mit",
    "the mit license (mit)": "mit",
    "bsd 3-clause license": "bsd-3-clause",
    "gnu general public license": "gpl",
    "gnu affero general public license": "agpl-3.0",
}
"""The hub's identifiers of licences whose text begins like this."""


def licence_of(directory: str | Path) -> str:
    """The licence of the model in a folder, by the hub's identifier where it has one.

    It is `license` in the front matter of the README, `other: NAME` where that names one the hub has no identifier for; without it the
    licence whose text stands in a LICENSE file, or `other: FIRST LINE` of that file; else `unknown`.
    """
    directory = Path(directory)
    stated = front_matter(directory / "README.md")
    found = stated.get("license")
    if isinstance(found, list):
        found = found[0] if len(found) == 1 else f"other: {', '.join(map(str, found))}"
    if found:
        name = stated.get("license_name")
        return f"other: {name}" if found == "other" and name else str(found)
    for path in sorted(path for pattern in LICENCE_FILES[1:] for path in directory.glob(pattern) if path.is_file()):
        lines = (line.strip(" \t#=*") for line in path.read_text("utf-8", "replace").splitlines())
        first = next((line for line in lines if line), "")
        return _TEXTS.get(first.lower(), f"other: {first[:80] or path.name}")
    return UNKNOWN


def front_matter(path: Path) -> dict[str, Any]:
    """The YAML between the `---` lines at the top of a Markdown file; empty where there is none, or none that can be read."""
    if not path.is_file():
        return {}
    return split_front_matter(path.read_text("utf-8", "replace"))[0]


def split_front_matter(text: str) -> tuple[dict[str, Any], str]:
    """The YAML at the top of a Markdown text, and what follows it."""
    import yaml

    lines = text.splitlines(keepends=True)
    if not lines or lines[0].strip() != "---":
        return {}, text
    for number, line in enumerate(lines[1:], 1):
        if line.strip() == "---":
            try:
                found = yaml.safe_load("".join(lines[1:number]))
            except yaml.YAMLError:
                return {}, text
            return (found if isinstance(found, dict) else {}), "".join(lines[number + 1 :])
    return {}, text
