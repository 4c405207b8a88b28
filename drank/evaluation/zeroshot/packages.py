"""The packages that the functions of a task need, told without importing them."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path


def packages_in(file: Path) -> list[str]:
    """The packages that a module of a task imports when it is loaded, with what modules of the harness's tasks that it imports do.

    Those that it can do without, imported inside a function or under a condition, are left out. A module beside it is a package like any
    other: the harness loads the one file, and finds the other only where Python looks anyway.
    """
    found: dict[str, None] = {}
    waiting, seen = [file], set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        for name in _imported(module):
            waiting += [path for path in _modules(name) if path.is_file() and path not in seen]
            found[name.partition(".")[0]] = None
    return list(found)


def _imported(file: Path) -> list[str]:
    """The full names that the body of a module imports."""
    names: list[str] = []
    for node in ast.parse(file.read_bytes(), str(file)).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def _modules(name: str) -> list[Path]:
    """Where the module of a name may lie that is one of the harness's tasks."""
    parts = name.split(".")
    if parts[:2] != ["lm_eval", "tasks"] or not (spec := importlib.util.find_spec("lm_eval")) or not spec.submodule_search_locations:
        return []
    root = Path(spec.submodule_search_locations[0]).joinpath(*parts[1:])
    return [root.with_suffix(".py"), root.parent.with_suffix(".py")]
