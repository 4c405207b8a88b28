"""Figures: pure functions of an artefact's material, one or two columns wide. A new figure is one module and one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from drank.reporting.figures import after, against_ratio, draws, effective_rank, frontier, ranks, stability
from drank.reporting.figures.sheet import INCHES, Drawn, Width, caption_in, save
from drank.reporting.material import Material

__all__ = ["FIGURES", "INCHES", "Drawing", "Drawn", "Width", "caption_in", "drawn", "save"]


@dataclass(frozen=True)
class Drawing:
    """A figure: the function that draws it, which parts of a material it reads, and the measurements without which it says nothing."""

    draw: Callable[[Material, Width], Drawn]
    reads: tuple[Literal["numbers", "spectra", "plans"], ...]
    measures: tuple[Literal["perplexity", "zeroshot", "throughput"], ...] = ()


FIGURES: dict[str, Drawing] = {
    "effective_rank": Drawing(effective_rank.draw, ("spectra",)),
    "ranks": Drawing(ranks.draw, ("numbers", "plans")),
    "perplexity": Drawing(against_ratio.perplexity, ("numbers",), ("perplexity",)),
    "accuracy": Drawing(against_ratio.accuracy, ("numbers",), ("zeroshot",)),
    "throughput": Drawing(against_ratio.throughput, ("numbers",), ("throughput",)),
    "draws": Drawing(draws.draw, ("numbers",), ("perplexity",)),
    "after": Drawing(after.draw, ("numbers", "plans"), ("perplexity",)),
    "frontier": Drawing(frontier.draw, ("numbers",), ("perplexity",)),
    "stability": Drawing(stability.draw, ("numbers", "spectra", "plans"), ("perplexity",)),
}
"""The figures by the name of their layout."""


def drawn(name: str, material: Material) -> dict[str, Drawn]:
    """The figures of one artefact in the layout `name`, by what follows its own name in the names of their files.

    One over two columns of all models (`""`), and one of a single column for each model (`"-MODEL"`).
    """
    draw = FIGURES[name].draw
    return {"": draw(material, "page")} | {f"-{model}": draw(material.of(model), "column") for model in material.models}
