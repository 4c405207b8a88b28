"""The manuscript: an article that reads as the experiments of a paper, every number of it out of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from drank.reporting.manuscript.exhibits import Exhibit
from drank.reporting.manuscript.limitations import Evidence, limitations
from drank.reporting.manuscript.quotes import macros, quotes
from drank.reporting.manuscript.references import references
from drank.reporting.manuscript.results import sentence
from drank.reporting.manuscript.setup import setup
from drank.reporting.names import escape, listed, unique
from drank.reporting.records import Record
from drank.reporting.report.checks import Check
from drank.reporting.tables.numbers import per_model

__all__ = ["Exhibit", "macros", "manuscript"]

HEAD = r"""\documentclass[10pt,twocolumn]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{lmodern}
\usepackage[letterpaper,textwidth=7in,textheight=9in,columnsep=0.3in]{geometry}
\usepackage{booktabs,graphicx}
\renewcommand{\topfraction}{.9}\renewcommand{\dbltopfraction}{.9}\renewcommand{\textfraction}{.05}
\renewcommand{\floatpagefraction}{.75}\renewcommand{\dblfloatpagefraction}{.75}\setcounter{topnumber}{3}\setcounter{dbltopnumber}{3}
\emergencystretch=2em\raggedbottom
\newcommand{\drankfigure}[1]{\sbox0{\includegraphics{#1}}%
  \ifdim\wd0>\linewidth\sbox0{\includegraphics[width=\linewidth]{#1}}\fi
  \ifdim\ht0>.8\textheight\sbox0{\includegraphics[height=.8\textheight]{#1}}\fi\usebox0}
"""


def manuscript(
    exhibits: Sequence[Exhibit],
    summary: pd.DataFrame,
    records: Sequence[Record],
    checks: Sequence[Check],
    refused: Mapping[str, Mapping[str, str]] | None = None,
    numbers: str = "numbers.tex",
    title: str | None = None,
) -> str:
    """The article in LaTeX, for pdflatex with booktabs and graphicx: setup, results, limitations and references.

    `exhibits` are the tables and figures in their order, `numbers` is the path of the `macros` of their materials, `refused` has by model
    the methods that do not apply with the reason. Exhibits of nothing but empty tables are left out.
    """
    shown = [exhibit for exhibit in exhibits if not exhibit.tables or not all(table.empty for table in exhibit.tables)]
    known = {key: text for exhibit in shown for key, text in quotes({exhibit.name: exhibit.material}).items()}
    evidence = Evidence(records, list(per_model(summary)), shown, checks, refused or {})
    models = unique(record.model for record in records)
    parts = [
        HEAD,
        f"\\input{{{numbers}}}\n\\title{{{escape(title or f'Low-rank compression of {listed(models)}')}}}\n\\author{{}}\\date{{}}\n",
        "\\begin{document}\n\\maketitle\n\n\\section{Setup}\n\n",
        *(f"{text}\n\n" for text in setup(records)),
        "\\section{Results}\n\n",
        *(f"{sentence(exhibit, known)}\n{exhibit.latex}\n" for exhibit in shown),
        "\\section{Limitations}\n\n",
        *(f"{escape(text)}\n" for text in limitations(evidence)),
        f"\n{references(record.method for record in records)}\\end{{document}}\n",
    ]
    return "".join(parts)
