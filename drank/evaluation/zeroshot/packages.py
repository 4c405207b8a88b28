"""The packages that the functions of a task need, told without importing them."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path


def packages_in(file: Path) -> list[str]:
    """The packages that a module of a task imports when it is loaded, with what modules beside it and of the harness's tasks import.

    Those that it can do without, imported inside a function or under a condition, are left out.
    """
    found: dict[str, None] = {}
    waiting, seen = [file], set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        for name in _imported(module):
            here = [path for path in _modules(name, module.parent) if path.is_file()]
            waiting += [path for path in here if path not in seen]
            if not here and not (module.parent / name.partition(".")[0]).is_dir():
                found[name.partition(".")[0]] = None
    return list(found)


def _imported(file: Path) -> list[str]:
    """The full names that the body of a module imports."""
    names: list[str] = []
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def _modules(name: str, folder: Path) -> list[Path]:
    """Where the module of a name may lie that is no package's: beside the one that imports it, or among the harness's tasks."""
    parts = name.split(".")
    places = [folder / f"{parts[0]}.py"]
    if parts[:2] == ["lm_eval", "tasks"] and (spec := importlib.util.find_spec("lm_eval")) and spec.submodule_search_locations:
        root = Path(spec.submodule_search_locations[0]).joinpath(*parts[1:])
        places += [root.with_suffix(".py"), root.parent.with_suffix(".py")]
    return places
