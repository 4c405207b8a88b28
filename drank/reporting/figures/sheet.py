"""The sheet that a figure is drawn on: one or two columns of a paper wide, with panels that wrap, and the caption it leaves with."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Hashable, Sequence
from functools import wraps
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from drank.reporting.figures.style import GREY, STYLE
from drank.runtime.files import replacing

Width = Literal["column", "page"]
"""How wide a figure is: one column of a paper of two, or both."""

INCHES: dict[Width, float] = {"column": 3.35, "page": 6.9}
"""The widths in inches; figures are printed at this size, so that the text in them is as large as it says."""

TALLEST = 8.6
"""Inches that a figure should not be taller than, to stand on a page with its caption."""

HANDLE, LETTER, WIDEST = 0.5, 0.056, 0.06
"""Inches, roughly, of an entry of a legend: what stands before its label, a letter, and a letter of a label that has many wide ones."""

LONG = 40
"""Letters from which on a label is taken to have many wide ones, for what is short of its width adds up."""


class Drawn(NamedTuple):
    """A figure, and the caption that describes what is on it."""

    figure: Figure
    caption: str


P = ParamSpec("P")
K = TypeVar("K", bound=Hashable)


def styled(function: Callable[P, Drawn]) -> Callable[P, Drawn]:
    """The function drawing in drank's style, laid out once: one pass of the layout does not settle figures of many rows."""

    @wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Drawn:
        with mpl.rc_context(STYLE):
            drawn = function(*args, **kwargs)
            drawn.figure.draw_without_rendering()
            return drawn

    return draw


def panels(blocks: Sequence[Sequence[K]], width: Width, height: float, least: float = 2.0, **options: Any) -> tuple[Figure, dict[K, Axes]]:
    """A figure with a panel of `height` inches for each key; a block begins a row, and wraps before panels get narrower than `least`."""
    longest = max(map(len, blocks))
    rows_of_longest = -(-longest // max(1, int(INCHES[width] / least)))
    columns = -(-longest // rows_of_longest)
    rows = [block[first : first + columns] for block in blocks for first in range(0, len(block), columns)]
    figure = Figure(figsize=(INCHES[width], tall(height * len(rows))), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False, **options)
    found: dict[K, Axes] = {}
    for line, keys in zip(grid, rows, strict=True):
        found |= zip(keys, line, strict=False)
        for axes in line[len(keys) :]:
            axes.set_visible(False)
    return figure, found


def tall(height: float) -> float:
    """The height of a figure that wants so many inches: up to a tenth less where that brings it nearer to a page."""
    return max(min(height, TALLEST), 0.9 * height)


def legend_above(figure: Figure, handles: Sequence[Any], labels: Sequence[str], part: SubFigure | None = None) -> None:
    """One legend for all panels, in as few rows as fit the width; the figure grows by its height, unless it stands in a `part` of it.

    A label that is wider than the figure is broken into lines.
    """
    broken = [textwrap.wrap(label, int((figure.get_figwidth() - HANDLE) / WIDEST)) or [label] for label in labels]
    longest = [max(map(len, lines)) for lines in broken]
    widths = [HANDLE + (LETTER if size < LONG else WIDEST) * size for size in longest]
    for count in range(len(labels), 0, -1):  # entries stand in columns as even as they can
        ends = [sum(divmod(len(labels), count)[0] + (one < len(labels) % count) for one in range(upto)) for upto in range(count + 1)]
        columns = [slice(*pair) for pair in pairwise(ends)]
        if sum(max(widths[column]) for column in columns) < figure.get_figwidth():
            break
    if part is None:
        tallest = max(sum(map(len, broken[column])) for column in columns)
        figure.set_figheight(figure.get_figheight() + 0.15 * tallest)
    (part or figure).legend(
        handles, ["\n".join(lines) for lines in broken], loc="outside upper center", ncols=len(columns), columnspacing=1.2, handlelength=2.0
    )


@styled
def note(text: str, width: Width) -> Drawn:
    """A figure that says in words why there is nothing to see, for runs that did not measure what another figure shows."""
    figure = Figure(figsize=(INCHES[width], 0.8))
    figure.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color=GREY)
    return Drawn(figure, text)


def save(drawn: Drawn, pdf: str | Path, png: str | Path) -> None:
    """Write a figure as PDF and as PNG (300 dpi), its caption inside both, without a date, so that the same data give the same files."""
    with mpl.rc_context(STYLE):
        with replacing(pdf) as temporary:
            told = {"Subject": drawn.caption, "CreationDate": None, "Producer": None, "Creator": None}
            drawn.figure.savefig(temporary, format="pdf", metadata=told)
        with replacing(png) as temporary:
            drawn.figure.savefig(temporary, format="png", dpi=300, metadata={"Description": drawn.caption, "Software": None})


def caption_in(png: str | Path) -> str:
    """The caption that `save` wrote into a picture; ValueError where there is none."""
    from PIL import Image

    with Image.open(png) as image:
        caption = getattr(image, "text", {}).get("Description")
    if caption is None:
        raise ValueError(f"{png} has no caption inside, so drank did not draw it as it does now; delete it and run again")
    return str(caption)
