"""Text that every installation already has: Python's own documentation, read from source files with `ast`.

No module is ever imported: an installed package is found by its folder, parsed and left alone. A document is one docstring under a
heading that names what it documents; the split it belongs to follows from a hash of its module's name, so no module, and hence no
docstring, stands in two splits.
"""

from __future__ import annotations

import ast
import gc
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

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

SHORTEST = 40
"""Characters below which a docstring ("Initialize self.") carries no prose worth reading."""


DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Document(NamedTuple):
    """One text with its name and the split (train, validation or test) it belongs to."""

    split: str
    name: str
    text: str


def split_of(module: str) -> str:
    """The split of a module: 90 % of all names are train, 5 % validation, 5 % test."""
    bucket = int.from_bytes(hashlib.sha256(module.encode()).digest()[:4]) % 20
    return {0: "test", 1: "validation"}.get(bucket, "train")


def text_hash(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


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


def _library_folder() -> Path:
    return Path(sysconfig.get_paths()["stdlib"])


def _modules(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """Dotted name and path of every Python source file below `folder`, in order of name."""
    found = []
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).with_suffix("").parts
        if not {"site-packages", "lib2to3", "pydoc_data", "idlelib", "test", "tests"}.intersection(parts):
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found.append((".".join((prefix, *parts) if prefix else parts), path))
    return iter(sorted(found))


def _all_modules() -> Iterator[tuple[str, Path]]:
    purelib = [Path(sysconfig.get_paths()[key]) for key in ("purelib", "platlib")]
    for package in PACKAGES:
        folder = next((base / package for base in purelib if (base / package).is_dir()), None)
        if folder is None:
            raise ModuleNotFoundError(f"corpus python-docs: package {package} has metadata but no folder in {purelib[0]}")
        yield from _modules(folder, package)
    yield from _modules(_library_folder(), "")


def _heading(module: str, scope: str, node: ast.AST) -> str:
    name = ".".join(filter(None, (module, scope)))
    if isinstance(node, ast.Module):
        return f"module {name}"
    if isinstance(node, ast.ClassDef):
        return f"class {name}"
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    spec = node.args
    names = [a.arg for a in (*spec.posonlyargs, *spec.args) if a.arg not in ("self", "cls")]
    names += [f"*{spec.vararg.arg}"] if spec.vararg else []
    names += [a.arg for a in spec.kwonlyargs]
    names += [f"**{spec.kwarg.arg}"] if spec.kwarg else []
    return f"{name}({', '.join(names)})"


def _documented(node: ast.AST, scope: str = "") -> Iterator[tuple[str, ast.AST, str]]:
    """Scope, node and cleaned docstring of everything in a module that has one, in source order."""
    if isinstance(node, (ast.Module, *DEFINITIONS)):
        text = ast.get_docstring(node, clean=False)
        if text:
            yield scope, node, inspect.cleandoc(text)
    for child in _statements(node):
        name = child.name if isinstance(child, DEFINITIONS) else None
        yield from _documented(child, ".".join(filter(None, (scope, name))))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements directly inside a node; expressions cannot hold docstrings, and skipping them halves the time."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        children = getattr(node, field, ())
        yield from children if isinstance(children, list) else ()


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Syntax trees hold no cycles; letting the collector walk their millions of nodes makes parsing four times slower."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parse(path: Path) -> ast.Module | None:
    """The syntax tree, or None for files that are not this Python's source (templates, other versions' grammar)."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return None


def python_docs() -> list[Document]:
    """Every docstring of the scientific Python stack and the standard library, once, each in its module's split.

    A docstring that several modules share goes to the first of them by name. The order is that of the texts' hashes: any prefix is a fair
    sample. The result depends on nothing but `package_versions()`.
    """
    package_versions()
    documents: dict[str, Document] = {}
    with _no_garbage_collection():
        for module, path in _all_modules():
            tree = _parse(path)
            for scope, node, text in _documented(tree) if tree else ():
                if len(text) >= SHORTEST:
                    heading = _heading(module, scope, node)
                    documents.setdefault(text_hash(text), Document(split_of(module), heading, f"{heading}\n\n{text}"))
    return [documents[key] for key in sorted(documents)]


def python_reference() -> list[Document]:
    """The language reference that `help()` shows, a document per topic, all of it test text."""
    path = _library_folder() / "pydoc_data" / "topics.py"
    assignment = next(node for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.Assign))
    topics: dict[str, str] = ast.literal_eval(assignment.value)
    documents = [Document("test", name, text) for name, text in topics.items()]
    return sorted(documents, key=lambda document: text_hash(document.text))


def _without_docstrings(source: str, tree: ast.Module) -> str:
    lines = source.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, *DEFINITIONS)) and ast.get_docstring(node, clean=False):
            expression = node.body[0]
            for number in range(expression.lineno - 1, expression.end_lineno or expression.lineno):
                lines[number] = ""
    return "\n".join(line for line in lines if line.strip())


def python_code() -> list[Document]:
    """The standard library's source, a document per module, all of it test text.

    Docstrings are taken out, since those of train modules are what the embedded models were trained on.
    """
    documents = []
    for module, path in _modules(_library_folder(), ""):
        tree = _parse(path)
        if tree:
            text = _without_docstrings(path.read_text("utf-8", "replace"), tree)
            documents.append(Document("test", module, text))
    return sorted((d for d in documents if d.text), key=lambda document: text_hash(document.text))


EMBEDDED = {"python-docs": python_docs, "python-reference": python_reference, "python-code": python_code}
"""The corpora that need no download, by name."""
