"""Tables as floats: captions and labels around bare tabulars, which an author can also take alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from drank.reporting.names import escape
from drank.reporting.tables.fitting import Fit, fit
from drank.reporting.tables.layout import Table

OVERHANG = r"\leftskip=0pt plus 1fil minus 2.6em\rightskip=\leftskip"
"""Lets what is centred hang over both sides of a line as narrow as that of LaTeX's own article, whose margins are wide."""

CONTINUED = "\\drankcontinued"
"""What stands between two tabulars of a table where the next float begins; by itself it only keeps them apart."""


def label(table: Table) -> str:
    """The label by which a text refers to the table, such as `tab:table3-llama-7b`."""
    return f"tab:{re.sub(r'[^A-Za-z0-9.-]+', '-', table.name)}"


def bare(table: Table) -> str:
    """The tabular and nothing around it, for the package booktabs; where the table is too large for one there are several."""
    found = fit(table)
    floats = ["\\par\\medskip\n".join(part.to_latex(narrow=found.narrow) for part in parts) for parts in found.floats]
    apart = f"\\providecommand{{{CONTINUED}}}{{\\par\\medskip}}\n" if len(floats) > 1 else ""
    return apart + f"{CONTINUED}\n".join(floats)


def wrapper(tables: Sequence[Table]) -> str:
    r"""A float for each table, with caption and label, that takes its tabular from `TABLE.tabular.tex` in the folder `\dranktables`."""
    head = "% made by drank, for booktabs; \\dranktables is the folder of the tabulars\n\\providecommand{\\dranktables}{tables/}\n"
    return head + "".join(_float(table, fit(table)) for table in tables)


def _float(table: Table, found: Fit) -> str:
    """The float, or as many as the table takes, under one number."""
    name = "table*" if found.wide else "table"
    start = f"\\begin{{{name}}}[tp]\n  \\centering\\setlength{{\\belowcaptionskip}}{{5pt}}%\n"
    size = found.size + OVERHANG * found.wide
    again = f"\\end{{{name}}}%\n{start}  \\addtocounter{{table}}{{-1}}\\caption{{Continued.}}%\n  {size}%\n"
    more = f"\\def{CONTINUED}{{%\n{again}}}\n" if len(found.floats) > 1 else ""
    return (
        f"{more}{start}  \\caption{{{escape(table.caption)}}}\n  \\label{{{label(table)}}}\n"
        f"  {size}%\n  \\input{{\\dranktables {table.name}.tabular.tex}}\n\\end{{{name}}}\n"
    )
