"""The corpora that every installation already has: Python's own documentation, its language reference and its code."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from drank.corpora.docstrings import DEFINITIONS, SHORTEST, documented, heading_of, split_of
from drank.corpora.documents import Document, text_hash
from drank.corpora.installed import all_modules, library_folder, modules, no_garbage_collection, package_folder, package_versions, parse


def python_docs() -> list[Document]:
    """Every docstring of the scientific Python stack and the standard library, once, each in its module's split.

    A docstring that several modules share goes to the first of them by name. The order is that of the texts' hashes: any prefix is a fair
    sample. The result depends on nothing but `package_versions()`.
    """
    package_versions()
    documents: dict[str, Document] = {}
    with no_garbage_collection():
        for module, path in all_modules():
            tree = parse(path)
            for scope, node, text in documented(tree) if tree else ():
                if len(text) >= SHORTEST:
                    name = heading_of(module, scope, node)
                    documents.setdefault(text_hash(text), Document(split_of(module), name, f"{name}\n\n{text}"))
    return [documents[key] for key in sorted(documents)]


def python_reference() -> list[Document]:
    """The language reference that `help()` shows, a document per topic, all of it test text."""
    path = library_folder() / "pydoc_data" / "topics.py"
    assignment = next(node for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.Assign))
    topics: dict[str, str] = ast.literal_eval(assignment.value)
    documents = [Document("test", name, text) for name, text in topics.items()]
    return sorted(documents, key=lambda document: text_hash(document.text))


def _without_docstrings(source: str, tree: ast.Module) -> str:
    lines = source.split("\n")  # as the tree counts them: a form feed ends none
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, *DEFINITIONS)) and ast.get_docstring(node, clean=False):
            expression = node.body[0]
            for number in range(expression.lineno - 1, expression.end_lineno or expression.lineno):
                lines[number] = ""
    return "\n".join(line for line in lines if line.strip())


def _code(split: str, found: Iterable[tuple[str, Path]]) -> list[Document]:
    """Source files as documents of one split. Docstrings are taken out: those of train modules are what the embedded models learnt."""
    documents = []
    for module, path in found:
        tree = parse(path)
        if tree:
            text = _without_docstrings(path.read_text("utf-8", "replace"), tree)
            documents.append(Document(split, module, text))
    return sorted((d for d in documents if d.text), key=lambda document: text_hash(document.text))


def python_code() -> list[Document]:
    """The standard library's source, a document per module, all of it test text."""
    return _code("test", modules(library_folder(), ""))


def package_code() -> list[Document]:
    """The source of one package, scipy, a document per module, all of it train text: something else to calibrate on."""
    package_versions()
    return _code("train", modules(package_folder("scipy"), "scipy"))


EMBEDDED = {"python-docs": python_docs, "python-reference": python_reference, "python-code": python_code, "package-code": package_code}
"""The corpora that need no download, by name."""

SPLITS = {
    "python-docs": ("train", "validation", "test"),
    "python-reference": ("test",),
    "python-code": ("test",),
    "package-code": ("train",),
}
"""The splits of each."""


JOIN = "\n\n\n"
"""What stands between documents of the corpus python-docs, in training and in evaluation."""
