"""Where the methods of a run come from: the papers that the table of methods names, as a list of references."""

from __future__ import annotations

import re
from collections.abc import Iterable

from drank.methods import METHODS
from drank.reporting.names import escape
from drank.variants import base_of


def cite(method: str) -> str:
    r"""A citation of the paper of a method, with a space that does not break before it; empty for one that has none."""
    return f"~\\cite{{{_tag(METHODS[method].paper)}}}" if method in METHODS and METHODS[method].paper else ""


def references(labels: Iterable[str]) -> str:
    """The list of the papers of these methods, by first use; empty where none has one."""
    found: dict[str, list[str]] = {}
    for method in dict.fromkeys(map(base_of, labels)):
        if method in METHODS and METHODS[method].paper:
            found.setdefault(METHODS[method].paper, []).append(METHODS[method].title)
    items = "".join(f"\\bibitem{{{_tag(paper)}}} {escape('; '.join(titles))}. {_place(paper)}.\n" for paper, titles in found.items())
    return f"\\begin{{thebibliography}}{{{len(found)}}}\n{items}\\end{{thebibliography}}\n" if found else ""


def _tag(paper: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", paper)


def _place(paper: str) -> str:
    """The place of a paper in small fixed type, which may break where a slash or a stroke is."""
    text = re.sub(r"([/-])", r"\1\\allowbreak ", escape(paper))
    return f"\\texttt{{{text}}}"
