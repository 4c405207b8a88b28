"""How drank's figures look: one colour and marker for each method, and text of a size that is printed as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from drank.reporting.names import is_control

GREY = "#6b6b6b"

MANY = 8
"""Methods, or lines, that can share a panel and still be told apart; more are drawn beside each other instead."""

SMALL = 6.5
"""Points of the numbers along axes and of what is written inside panels."""

STYLE: Any = {
    "font.size": 7,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 7,
    "axes.titlepad": 3,
    "axes.labelsize": 7,
    "axes.labelpad": 2,
    "figure.labelsize": 7,
    "figure.titlesize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.pad": 2,
    "ytick.major.pad": 2,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
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
    "io-svd": Look("#56B4E9", "d"),
    "l-rank": Look("#5D3A9B", "P"),
    "full-rank": Look("#8a8a8a", "D", ":"),
    "random-ranks": Look("#8a8a8a", "X", ":"),
}
"""The looks of methods that stand in many figures, from the colour-blind-safe palette of Okabe and Ito (2008)."""

_COLORS, _MARKERS = ("#CC79A7", "#8C6D1F", "#56B4E9", "#5D3A9B"), "hp*<>H1X"
SPARE = tuple(Look(_COLORS[(place + turn) % 4], marker) for turn in range(4) for place, marker in enumerate(_MARKERS))
"""Looks for methods that have none of their own: neighbours differ in colour and in marker."""

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


def emphasis(method: str) -> dict[str, Any]:
    """What sets competitors before controls: full lines above, thin ones below."""
    return {"zorder": 2, "linewidth": 0.9, "alpha": 0.9} if is_control(method) else {"zorder": 3}
