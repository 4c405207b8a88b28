"""The source files of Python and of the installed packages: found by their folders and parsed, never imported."""

from __future__ import annotations

import ast
import gc
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = {
    "matplotlib": "matplotlib",
    "networkx": "networkx",
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "sympy": "sympy",
    "torch": "torch",
    "transformers": "transformers",
}
"""Import name -> distribution name of the packages whose docstrings make the corpus."""


def package_versions() -> dict[str, str]:
    """The versions that decide what `python_docs` yields.

    Raises ModuleNotFoundError naming every package that is not installed.
    """
    versions, missing = {"python": ".".join(map(str, sys.version_info[:3]))}, []
    for distribution in PACKAGES.values():
        try:
            versions[distribution] = version(distribution)
        except PackageNotFoundError:
            missing.append(distribution)
    if missing:
        raise ModuleNotFoundError(
            f"corpus python-docs reads the docstrings of installed packages, and these are missing: {', '.join(missing)}; "
            "install the lock file envs/requirements.lock, which holds them all"
        )
    return versions


def library_folder() -> Path:
    """Where the standard library lies."""
    return Path(sysconfig.get_paths()["stdlib"])


def modules(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """Dotted name and path of every Python source file below `folder`, in order of name."""
    found = []
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).with_suffix("").parts
        if not {"site-packages", "lib2to3", "pydoc_data", "idlelib", "test", "tests"}.intersection(parts):
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found.append((".".join((prefix, *parts) if prefix else parts), path))
    return iter(sorted(found))


def all_modules() -> Iterator[tuple[str, Path]]:
    """Dotted name and path of every source file of `PACKAGES`, then of the standard library."""
    for package in PACKAGES:
        yield from modules(package_folder(package), package)
    yield from modules(library_folder(), "")


def package_folder(package: str) -> Path:
    """Where an installed package lies; raises ModuleNotFoundError where that cannot be told."""
    purelib = [Path(sysconfig.get_paths()[key]) for key in ("purelib", "platlib")]
    folder = next((base / package for base in purelib if (base / package).is_dir()), None)
    if folder is None:
        raise ModuleNotFoundError(f"embedded corpora: package {package} has metadata but no folder in {purelib[0]}")
    return folder


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Syntax trees hold no cycles; letting the collector walk their millions of nodes makes parsing four times slower."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def parse(path: Path) -> ast.Module | None:
    """The syntax tree, or None for files that are not this Python's source (templates, other versions' grammar)."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return None
