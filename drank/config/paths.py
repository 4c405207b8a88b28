"""Where the relative paths of a configuration start: at the folder of the file that holds them.

What `--config` gives on the command line starts at the folder that the run works in, as a shell would have it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from drank.runtime.home import expanded

PLACES = (
    *(
        ("models", "*", "path"),
        ("models", "*", "gguf"),
        ("models", "*", "shape"),
        ("models", "*", "methods", "*", "checkpoint", "path"),
        ("models", "*", "methods", "*", "plan"),
        ("methods", "*", "checkpoint", "path"),
        ("methods", "*", "plan"),
    ),
    *(("corpora", "*", "files", "*"), ("tasks", "*", "yaml"), ("tasks", "*", "data", "*")),
)
"""Where a configuration holds paths, alone or in lists; `*` is any name."""


def rooted(config: Mapping[str, Any], folder: str | Path, work: str | Path) -> dict[str, Any]:
    """A copy whose relative paths start at `folder`; what lies below the folder of the run stays relative to it, so that both can move."""
    folder, work = Path(folder).resolve(), Path(work).resolve()

    def placed(value: str) -> str:
        path = folder / expanded(value)
        return path.relative_to(work).as_posix() if path.is_relative_to(work) and not Path(value).is_absolute() else path.as_posix()

    return with_paths(config, placed)


def without_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which each path is empty: the same wherever the files of a run lie."""
    return with_paths(config, lambda _: "")


def with_paths(config: Mapping[str, Any], changed: Callable[[str], str]) -> dict[str, Any]:
    """A copy with each path changed; entries of another form than the schema's are left as they are."""

    def placed(value: Any) -> Any:
        if isinstance(value, list):
            return [placed(entry) for entry in value]
        return changed(value) if isinstance(value, str) else value

    def change(node: Any, place: tuple[str, ...]) -> Any:
        if not place:
            return placed(node)
        if not isinstance(node, Mapping):
            return node
        name, *rest = place
        return {key: change(value, tuple(rest)) if name in ("*", key) else value for key, value in node.items()}

    found: Any = dict(config)
    for place in PLACES:
        found = change(found, place)
    return copy.deepcopy(found)
