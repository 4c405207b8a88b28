"""Docstrings as documents: each under a heading that names what it documents.

The split of a document follows from a hash of its module's name, so no module, and hence no docstring, stands in two splits.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterator

SHORTEST = 40
"""Characters below which a docstring ("Initialize self.") carries no prose worth reading."""


DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def split_of(module: str) -> str:
    """The split of a module: 90 % of all names are train, 5 % validation, 5 % test."""
    bucket = int.from_bytes(hashlib.sha256(module.encode()).digest()[:4]) % 20
    return {0: "test", 1: "validation"}.get(bucket, "train")


def heading_of(module: str, scope: str, node: ast.AST) -> str:
    """What stands above a docstring: the module or class, or the function with its parameters."""
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


def documented(node: ast.AST, scope: str = "") -> Iterator[tuple[str, ast.AST, str]]:
    """Scope, node and cleaned docstring of everything in a module that has one, in source order."""
    if isinstance(node, (ast.Module, *DEFINITIONS)):
        text = ast.get_docstring(node, clean=False)
        if text:
            yield scope, node, inspect.cleandoc(text)
    for child in _statements(node):
        name = child.name if isinstance(child, DEFINITIONS) else None
        yield from documented(child, ".".join(filter(None, (scope, name))))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements directly inside a node; expressions cannot hold docstrings, and skipping them halves the time."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        children = getattr(node, field, ())
        yield from children if isinstance(children, list) else ()
