"""A hash of the code that a step runs, so that Snakemake reruns the step when drank changes and only then.

Snakemake watches a rule's script, not the modules that it imports. `code_of` reads those from the source with `ast`, never by importing
them, and hashes the syntax trees: comments, docstrings, imports for type checkers and formatting change nothing. A module that is
imported by a quoted or computed name (`importlib.import_module`) is not seen, and has to be named beside the one that does so.
"""

from __future__ import annotations

import ast
import difflib
import functools
import gc
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[2]

WITHOUT_EFFECT = frozenset(
    {
        *("drank.runtime.log", "drank.runtime.codehash", "drank.runtime.lock", "drank.runtime.run", "drank.runtime.claiming"),
        *("drank.runtime.belonging", "drank.runtime.provenance"),
        *("drank.models.registration", "drank.models.publishing", "drank.models.card.writing"),
    }
)
"""Modules that cannot change a result: what they log, hash, note down, register or tell on a card is no part of it."""


class Source(NamedTuple):
    """What is known of a source file: the hash of its code, and the dotted names it imports when loaded and inside its functions."""

    digest: str
    eager: frozenset[str]
    lazy: frozenset[str]


def code_of(*names: str, project: Path = PROJECT) -> str:
    """A hash of the named modules (`drank.methods`) with all that they import of drank, and of the named files (`drank/report.css`).

    Raises ModuleNotFoundError or FileNotFoundError for a name that does not exist, ValueError for a module named by its file.
    """
    digest = hashlib.sha256()
    for module in closure(*(name for name in names if "/" not in name), project=project):
        digest.update(f"{module} {_source(project, module).digest}\n".encode())
    for name in sorted(name for name in names if "/" in name):
        if name.endswith(".py"):
            module = name.removesuffix(".py").replace("/", ".")
            raise ValueError(f"code_of: {name} is Python; name the module, {module}, so that what it imports counts too")
        digest.update(f"{name} {hashlib.sha256((project / name).read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def closure(*modules: str, project: Path = PROJECT) -> tuple[str, ...]:
    """The named modules and every module of their packages that they import, also from inside a function, sorted.

    Of the outermost package, and of a package reached only because a module in it was imported, no more than what it imports on loading
    counts: their functions are not what was asked for. Modules in `WITHOUT_EFFECT` are left out. Raises ModuleNotFoundError.
    """
    reached: dict[str, bool] = {}  # module -> whether the imports inside its functions were followed
    pending = [(module, True, "code_of") for module in modules]
    while pending:
        name, whole, importer = pending.pop()
        package, *_ = parts = name.split(".")
        whole = whole and name != package
        if name in WITHOUT_EFFECT or (name in reached and reached[name] >= whole):
            continue
        if module_path(project, name) is None:
            raise _unknown(project, name, importer)
        reached[name] = whole
        source = _source(project, name)
        targets = source.eager | source.lazy if whole else source.eager
        pending += ((_module_of(project, target), True, name) for target in targets if target.split(".")[0] == package)
        pending += ((".".join(parts[:depth]), False, name) for depth in range(1, len(parts)))
    return tuple(sorted(reached))


def imports_of(script: str | Path, package: str = "drank", project: Path = PROJECT) -> tuple[str, ...]:
    """The modules of a package that a file outside it imports, at its top and in its functions, sorted."""
    source = read_source(Path(script))
    targets = [target for target in source.eager | source.lazy if target.split(".")[0] == package]
    return tuple(sorted({_module_of(project, target) for target in targets}))


def _module_of(project: Path, target: str) -> str:
    """The module that an imported name is, or else the one that it is in."""
    return target if module_path(project, target) else target.rpartition(".")[0]


def module_path(project: Path, module: str) -> Path | None:
    """The source file of a module, None if there is none."""
    base = project.joinpath(*module.split("."))
    return next((path for path in (base / "__init__.py", base.with_name(f"{base.name}.py")) if path.is_file()), None)


def _unknown(project: Path, module: str, importer: str) -> ModuleNotFoundError:
    files = (project / module.split(".")[0]).rglob("*.py")
    known = [".".join(path.relative_to(project).with_suffix("").parts).removesuffix(".__init__") for path in files]
    near = difflib.get_close_matches(module, known)
    hint = f"; near: {', '.join(near)}" if near else ""
    return ModuleNotFoundError(f"there is no module {module!r}, which {importer} names{hint}", name=module)


def _source(project: Path, module: str) -> Source:
    path = module_path(project, module)
    assert path is not None  # `closure` has looked
    return read_source(path, module if path.name == "__init__.py" else module.rpartition(".")[0])


def read_source(path: Path, parent: str = "") -> Source:
    """What is known of a Python file of the package `parent`; parsed once per process and state of the file."""
    return _parsed(path, parent, path.stat().st_mtime_ns)


@functools.cache
def _parsed(path: Path, parent: str, changed: int) -> Source:
    collecting = gc.isenabled()
    gc.disable()  # trees hold no cycles, and walking them in search of some takes longer than parsing
    try:
        tree = ast.parse(path.read_bytes(), str(path))
        imports: dict[bool, set[str]] = {False: set(), True: set()}
        for statement, inside in _effective(tree):
            imports[inside].update(_targets(statement, parent))
        digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
        return Source(digest, frozenset(imports[False]), frozenset(imports[True]))
    finally:
        if collecting:
            gc.enable()


def _effective(node: ast.AST, inside: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement below a node and whether it is inside a function, after removing from the tree those without effect."""
    inside = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        children = getattr(node, field, None)
        if isinstance(children, list):
            children[:] = [child for child in children if not _without_effect(child)]
            for child in children:
                if isinstance(child, ast.If) and "TYPE_CHECKING" in (getattr(child.test, "id", ""), getattr(child.test, "attr", "")):
                    child.body.clear()
                if isinstance(child, ast.stmt):
                    yield child, inside
                yield from _effective(child, inside)


def _without_effect(node: ast.AST) -> bool:
    """Whether a statement is a bare string, as docstrings are, or the version, which by itself changes no result."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__version__"]


def _targets(statement: ast.stmt, parent: str) -> Iterator[str]:
    """The dotted names that a statement of a module in the package `parent` imports, absolute."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        base = parent.rsplit(".", statement.level - 1)[0] if statement.level else ""
        origin = ".".join(filter(None, (base, statement.module)))
        yield from (f"{origin}.{alias.name}" for alias in statement.names)
