"""How drank's figures look: one colour and marker for each method, vector text, the same bytes for the same data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from drank.reporting.names import is_control
from drank.runtime.files import replacing

DOUBLE = 6.9
"""Width of a figure over two columns of a paper, in inches."""

GREY = "#6b6b6b"

MANY = 8
"""Methods, or lines, that can share a panel and still be told apart; more are drawn beside each other instead."""

STYLE: Any = {
    "font.size": 8,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "errorbar.capsize": 1.6,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.hashsalt": "drank",
}


class Look(NamedTuple):
    """Colour, marker and line of a method in every figure."""

    color: str
    marker: str
    line: str = "-"


LOOKS = {
    "dense": Look("#000000", "_", "--"),
    "svd": Look("#E69F00", "v"),
    "svd-llm": Look("#0072B2", "s"),
    "basis-sharing": Look("#009E73", "^"),
    "d-rank": Look("#D55E00", "o"),
    "full-rank": Look("#8a8a8a", "D", ":"),
    "random-ranks": Look("#8a8a8a", "X", ":"),
}
"""The looks of the methods of the first cut, from the colour-blind-safe palette of Okabe and Ito (2008)."""

SPARE = tuple(Look(color, marker) for marker, color in product("PhpdH*<>", ("#CC79A7", "#56B4E9", "#5D3A9B", "#8C6D1F")))
"""Looks for methods that have none of their own."""

ROLE_LOOKS = {
    "q": Look("#0072B2", "s"),
    "k": Look("#56B4E9", "v"),
    "v": Look("#D55E00", "o"),
    "o": Look("#CC79A7", "D"),
    "gate": Look("#009E73", "^"),
    "up": Look("#8C6D1F", ">"),
    "down": Look("#000000", "<"),
    "qkv": Look("#0072B2", "s"),
    "gate_up": Look("#009E73", "^"),
}
"""The looks of the projections."""


def looks(methods: Iterable[str], known: dict[str, Look] = LOOKS) -> dict[str, Look]:
    """A look for each name; those not known take the spare ones in alphabetical order, so that every figure gives them the same."""
    methods = list(methods)
    unknown = sorted(set(methods) - set(known))
    if len(unknown) > len(SPARE):
        raise ValueError(
            f"{len(unknown)} methods without a look of their own, but only {len(SPARE)} spare ones; add them to LOOKS: {unknown}"
        )
    spare = dict(zip(unknown, SPARE, strict=False))
    return {method: known.get(method) or spare[method] for method in methods}


P = ParamSpec("P")


def styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """The function drawing in drank's style, laid out once: one pass of the layout does not settle figures of many rows."""

    @wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            figure = function(*args, **kwargs)
            figure.draw_without_rendering()
            return figure

    return draw


def grid(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Figure, list[list[Axes]]]:
    """A figure of `rows` × `columns` panels, each `width` × `height` inches, and its panels."""
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, [list(row) for row in figure.subplots(rows, columns, squeeze=False, **options)]


def legend_above(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """One legend for all panels, in as few rows as fit its width."""
    widths = [0.55 + 0.06 * len(label) for label in labels]  # inches, roughly
    columns = len(labels) if sum(widths) < figure.get_figwidth() else max(1, int(figure.get_figwidth() / max(widths)))
    rows = -(-len(labels) // columns)
    columns = -(-len(labels) // rows)  # rows of even length
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, columnspacing=1.4, handlelength=2.2)


@styled
def note(text: str) -> Figure:
    """A figure that says in words why there is nothing to see, for runs that did not measure what another figure shows."""
    figure = Figure(figsize=(DOUBLE / 2, 1.2))
    figure.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color=GREY)
    return figure


def level(axes: Axes, value: float, label: str, color: str, line: str) -> None:
    """A line across the panel at a value, named at its right end."""
    axes.axhline(value, color=color, linestyle=line, linewidth=1, zorder=1)
    axes.annotate(
        label, (1, value), (0, 1.5), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right", fontsize=6.5, color=color
    )


def emphasis(method: str) -> dict[str, Any]:
    """What sets competitors before controls: full lines above, thin ones below."""
    return {"zorder": 2, "linewidth": 0.9, "alpha": 0.9} if is_control(method) else {"zorder": 3}


def save(figure: Figure, pdf: str | Path, png: str | Path) -> None:
    """Write a figure as PDF and as PNG (200 dpi), without a date, so that the same data give the same files."""
    with mpl.rc_context(STYLE):
        with replacing(pdf) as temporary:
            figure.savefig(temporary, format="pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None})
        with replacing(png) as temporary:
            figure.savefig(temporary, format="png", dpi=200, metadata={"Software": None})
