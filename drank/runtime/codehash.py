"""A hash of the code that a step runs, so that Snakemake reruns the step when that code changes and only then.

`code_of` starts at a script, or at what is named, and follows from definition to definition what each uses, over all files of the package.
What nothing on that way uses is no part of it: another function of the same file, a docstring, a comment, a formatting. Nor is the place
of a definition: a script or a function that moves keeps its hash.

A name that is computed or quoted (`importlib.import_module`) is not seen, and has to be named beside the one that does so; nor would be a
definition that a decorator enters into a table, which is why drank's tables name what they hold.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from drank.runtime.definitions import Definition, Module, module_path, read_module

PROJECT = Path(__file__).parents[2]

WITHOUT_EFFECT = frozenset(
    {
        *("drank.runtime.log", "drank.runtime.codehash", "drank.runtime.definitions", "drank.runtime.lock", "drank.runtime.run"),
        *("drank.runtime.claiming", "drank.runtime.belonging", "drank.runtime.provenance", "drank.runtime.heap"),
        *("drank.models.registration", "drank.models.publishing", "drank.models.card.writing", "drank.models.carried"),
    }
)
"""Modules that cannot change a result: what they log, hash, note down, register, hand on or tell on a card is no part of it."""

OF_ENTRIES = {"drank.models.families.entries.FAMILIES": "drank.models.families.entries.Family"}
"""Tables of which a step uses one entry, and what the entries are. The table of families counts as no code: the entry of a step's model is
a parameter of the step that finds the model."""


class Node(NamedTuple):
    """A definition in a module, by its name there; an empty name is what the module does when it is loaded."""

    module: str
    name: str


class Reached(NamedTuple):
    """What some code can run: definitions of the package, and the dotted names outside the package that it imports."""

    nodes: dict[Node, str]
    outside: frozenset[str]


def code_of(*names: str | Path, project: Path = PROJECT) -> str:
    """A hash of all code that scripts (paths), modules (`drank.methods`) or definitions (`drank.methods.METHODS`) run.

    A name with a slash (`drank/report.css`) is a file of the project that is read beside it. Raises ModuleNotFoundError or
    FileNotFoundError for a name that does not exist, ValueError for a module named by its file.
    """
    code = reached(*(name for name in names if isinstance(name, Path) or "/" not in name), project=project)
    digest = hashlib.sha256("\n".join(sorted(code.nodes.values())).encode())
    for name in sorted(name for name in names if isinstance(name, str) and "/" in name):
        if name.endswith(".py"):
            module = name.removesuffix(".py").replace("/", ".")
            raise ValueError(f"code_of: {name} is Python; name the module, {module}, so that what it imports counts too")
        digest.update(f"{name} {hashlib.sha256((project / name).read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def reached(*starts: str | Path, project: Path = PROJECT) -> Reached:
    """What the named scripts, modules and definitions can run; raises ModuleNotFoundError for a name that is none."""
    return _Search(project).all_from(starts)


class _Search:
    """Goes from definition to definition through the packages of a project."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.files: dict[str, Module | None] = {}
        self.nodes: dict[Node, str] = {}
        self.outside: set[str] = set()
        self.pending: list[Node] = []

    def all_from(self, starts: tuple[str | Path, ...]) -> Reached:
        """What these can run, with themselves."""
        for start in starts:
            if isinstance(start, Path):
                self.files[str(start)] = read_module(start)
                self._visit(*self._whole(str(start)))
            else:
                self._visit(*self._found(start))
        while self.pending:
            self._follow(self.pending.pop())
        return Reached({node: line for node, line in self.nodes.items() if line}, frozenset(self.outside))

    def _visit(self, *nodes: Node) -> None:
        for node in nodes:
            if node not in self.nodes and node.module not in WITHOUT_EFFECT:
                self.nodes[node] = ""
                self.pending.append(node)

    def _follow(self, node: Node) -> None:
        """Visit all that a definition uses, and note it with the hashes of what stands behind each name in it."""
        module, definition = self._known(node.module), self._piece(node)
        loaded = list(definition.imports.values()) + ([] if node.name else list(module.imports.values()))
        self._visit(*self._loading(node.module), *(one for target in loaded for one in self._loaded(target, node.module)))
        behind = []
        for use in sorted(definition.uses):
            nodes, outside = self._behind(use, module, definition, node.module)
            self._visit(*nodes)
            told = [self._piece(one).digest for one in nodes]
            behind += [f"{use}={','.join([*told, *outside])}"] if told or outside else []
        if definition.digest:
            self.nodes[node] = " ".join([definition.digest, *behind])

    def _behind(self, use: str, module: Module, definition: Definition, importer: str) -> tuple[list[Node], list[str]]:
        """The definitions behind a dotted name, or what it is outside the project; nothing for a builtin or a local variable."""
        parts = use.split(".")
        for imports in (definition.imports, module.imports):
            for depth in range(len(parts), 0, -1):
                if target := imports.get(".".join(parts[:depth])):
                    rest = ".".join([target, *parts[depth:]])
                    return (list(self._found(rest, importer)), []) if self._ours(target) else ([], [target])
        return ([self._node(importer, parts[0])] if parts[0] in module.definitions else []), []

    def _found(self, dotted: str, importer: str = "") -> Iterator[Node]:
        """The definition that a dotted name of the project leads to, through what packages hand on; all of a module for its own name."""
        parts = dotted.split(".")
        for depth in range(len(parts), 0, -1):
            name = ".".join(parts[:depth])
            if name in WITHOUT_EFFECT:
                return
            if (module := self._module(name)) is None:
                continue
            if depth == len(parts):
                yield from self._whole(name)
            elif parts[depth] in module.definitions:
                yield self._node(name, parts[depth])
            elif target := module.imports.get(parts[depth]):
                if self._ours(target):
                    yield from self._found(".".join([target, *parts[depth + 1 :]]), name)
            elif importer or "__getattr__" in module.definitions:  # a local variable called like a module, or a name made on demand
                yield from self._whole(name)
            else:
                break
            return
        raise self._unknown(dotted, importer)

    @staticmethod
    def _node(module: str, name: str) -> Node:
        entry = OF_ENTRIES.get(f"{module}.{name}")
        return Node(*entry.rsplit(".", 1)) if entry else Node(module, name)

    def _loaded(self, target: str, importer: str) -> Iterator[Node]:
        """What importing a dotted name runs: the top of its module and of the packages around it."""
        if not self._ours(target):
            self.outside.add(target)
            return
        parts = target.split(".")
        found = next((".".join(parts[:n]) for n in range(len(parts), 0, -1) if self._module(".".join(parts[:n]))), None)
        if found is None or len(parts) - found.count(".") > 2:
            raise self._unknown(target, importer)
        yield from self._loading(found)

    def _loading(self, module: str) -> Iterator[Node]:
        parts = [module] if "/" in module else module.split(".")
        yield from (Node(".".join(parts[:depth]), "") for depth in range(1, len(parts) + 1))

    def _whole(self, name: str) -> Iterator[Node]:
        module = self._known(name)
        yield from (Node(name, defined) for defined in ["", *module.definitions])
        for target in module.imports.values():  # what it hands on
            yield from self._found(target, name) if self._ours(target) and self._module(target) is None else ()

    def _piece(self, node: Node) -> Definition:
        module = self._known(node.module)
        return module.definitions[node.name] if node.name else module.effects

    def _known(self, name: str) -> Module:
        module = self._module(name)
        assert module is not None  # it was found there
        return module

    def _ours(self, target: str) -> bool:
        return self._module(target.split(".")[0]) is not None

    def _module(self, name: str) -> Module | None:
        if name not in self.files:
            path = module_path(self.project, name)
            package = name if path is not None and path.name == "__init__.py" else name.rpartition(".")[0]
            self.files[name] = read_module(path, package) if path is not None else None
        return self.files[name]

    def _unknown(self, name: str, importer: str) -> ModuleNotFoundError:
        files = (self.project / name.split(".")[0]).rglob("*.py")
        known = [".".join(path.relative_to(self.project).with_suffix("").parts).removesuffix(".__init__") for path in files]
        near = difflib.get_close_matches(name, known)
        hint = f"; near: {', '.join(near)}" if near else ""
        told = f"there is no module or definition {name!r}, which {importer or 'code_of'} names{hint}"
        return ModuleNotFoundError(told, name=name)
