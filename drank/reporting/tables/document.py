"""A LaTeX article that holds all tables and figures, for the `pdf` target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drank.reporting.names import escape

_HEAD = r"""\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{lmodern}
\usepackage[a4paper,margin=18mm]{geometry}
\usepackage{booktabs,graphicx}
\begin{document}
"""


def document(tables: Sequence[str], figures: Mapping[str, str]) -> str:
    """A standalone article that inputs the table files and includes the figure files, each figure with its caption.

    Paths are relative to the folder in which LaTeX runs; `figures` maps a path to a caption.
    """
    parts = [f"\\input{{{path}}}\n" for path in tables]
    for path, caption in figures.items():
        parts.append(
            "\\begin{figure}[tp]\n  \\centering\n"
            f"  \\includegraphics[width=\\linewidth,height=.85\\textheight,keepaspectratio]{{{path}}}\n"
            f"  \\caption{{{escape(caption)}}}\n\\end{{figure}}\n"
        )
    return _HEAD + "\\clearpage\n".join(["".join(parts[: len(tables)]), "".join(parts[len(tables) :])]) + "\\end{document}\n"
