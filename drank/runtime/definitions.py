"""What a Python file defines at its top level, read from the source with `ast` and never by importing it.

Comments, docstrings, formatting, annotations of functions and imports for type checkers are no part of what is told here.
"""

from __future__ import annotations

import ast
import functools
import gc
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Definition(NamedTuple):
    """A piece of code: the hash of its syntax trees, the dotted names it uses, and what is imported inside it, by the name used for it."""

    digest: str
    uses: frozenset[str]
    imports: dict[str, str]


class Module(NamedTuple):
    """A file: what it defines by name, what it imports at its top, by the name used for it, and what it does when it is loaded."""

    definitions: dict[str, Definition]
    imports: dict[str, str]
    effects: Definition


def module_path(project: Path, module: str) -> Path | None:
    """The source file of a module, None if there is none."""
    base = project.joinpath(*module.split("."))
    return next((path for path in (base / "__init__.py", base.with_name(f"{base.name}.py")) if path.is_file()), None)


def read_module(path: Path, parent: str = "") -> Module:
    """What is known of a Python file of the package `parent`; parsed once per process and state of the file."""
    stat = path.stat()
    return _parsed(path, parent, stat.st_mtime_ns, stat.st_size)


@functools.cache
def _parsed(path: Path, parent: str, changed: int, size: int) -> Module:
    collecting = gc.isenabled()
    gc.disable()  # trees hold no cycles, and walking them in search of some takes longer than parsing
    try:
        tree = ast.parse(path.read_bytes(), str(path))
        _strip(tree)
        imports: dict[str, str] = {}
        others: set[str] = set()
        defined: dict[str, list[ast.stmt]] = {}
        effects: list[ast.stmt] = []
        for statement in tree.body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                others |= _enter(imports, statement, parent)
                continue
            names = list(_bound(statement))
            if not names or isinstance(statement, (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.AugAssign)):
                effects.append(statement)
                for inside in ast.walk(statement):
                    if isinstance(inside, (ast.Import, ast.ImportFrom)):
                        others |= _enter(imports, inside, parent)
            for name in names:
                defined.setdefault(name, []).append(statement)
        loading = _definition(effects, parent)
        loading = loading._replace(uses=loading.uses | others)
        return Module({name: _definition(pieces, parent) for name, pieces in defined.items()}, imports, loading)
    finally:
        if collecting:
            gc.enable()


def _strip(tree: ast.AST) -> None:
    """Remove from a tree what has no effect."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            children = getattr(node, field, None)
            if isinstance(children, list):
                children[:] = [child for child in children if not _without_effect(child)]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.JoinedStr):  # to whose parts Python 3.12 adds empty ones
            node.values = [part for part in node.values if not (isinstance(part, ast.Constant) and part.value == "")]


def _without_effect(node: ast.AST) -> bool:
    """Whether a statement is a bare string, as docstrings are, imports for type checkers, or the version, which changes no result."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in (getattr(node.test, "id", ""), getattr(node.test, "attr", "")) and not node.orelse
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__version__"]


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top level gives a meaning."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name


def _enter(imports: dict[str, str], statement: ast.Import | ast.ImportFrom, parent: str) -> set[str]:
    """Note what an import binds, and give the names under which that stands which is used in any case: no one name tells it.

    That is all of a module of which everything is imported, and what a name means too that another import binds, by some condition.
    """
    others: set[str] = set()
    for name, target in _imported(statement, parent):
        if name == "*" or imports.get(name, target) != target:
            name = f"{name} {len(imports)}"
            others.add(name)
        imports[name] = target.removesuffix(".*")
    return others


def _imported(statement: ast.Import | ast.ImportFrom, parent: str) -> Iterator[tuple[str, str]]:
    """The names that an import in the package `parent` binds, each with the absolute dotted name behind it."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield alias.asname or alias.name, alias.name
        return
    base = parent.rsplit(".", statement.level - 1)[0] if statement.level else ""
    origin = ".".join(filter(None, (base, statement.module)))
    for alias in statement.names:
        yield alias.asname or alias.name, f"{origin}.{alias.name}"


def _definition(pieces: list[ast.stmt], parent: str) -> Definition:
    uses: set[str] = set()
    imports: dict[str, str] = {}
    for piece in pieces:
        for node in _outermost(piece):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                uses |= _enter(imports, node, parent)
            else:
                uses.add(ast.unparse(node))
    text = "".join(_told(piece) for piece in pieces)
    return Definition(hashlib.sha256(text.encode()).hexdigest() if pieces else "", frozenset(uses), imports)


def _told(value: Any) -> str:
    """A syntax tree as text that is the same for every Python: `ast.dump` tells fields that hold nothing or not, by its version."""
    if isinstance(value, list):
        return f"[{', '.join(map(_told, value))}]"
    if not isinstance(value, ast.AST):
        return ascii(value)
    fields = ((name, getattr(value, name, None)) for name in value._fields)
    return f"{type(value).__name__}({', '.join(f'{name}={_told(field)}' for name, field in fields if field is not None and field != [])})"


def _outermost(node: ast.AST) -> Iterator[ast.AST]:
    """The imports below a node, its names, and where attributes are taken of a name, the whole dotted one."""
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.Name)) or _dotted(node):
        yield node
        return
    fields = [field for field in node._fields if not (field == "annotation" and isinstance(node, ast.AnnAssign))]
    for field in fields:
        value = getattr(node, field, None)
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _outermost(child)


def _dotted(node: ast.AST) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)
