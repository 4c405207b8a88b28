"""Figures: pure functions of summary, spectra or plans, saved as PDF and PNG. A new figure is one function and one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.figure import Figure

from drank.reporting.figures import curves, depth
from drank.reporting.figures.captions import CAPTIONS
from drank.reporting.figures.style import save
from drank.reporting.material import Material

__all__ = ["FIGURES", "Drawing", "save"]


@dataclass(frozen=True)
class Drawing:
    """A figure: the function that draws it, what that function takes, and the caption.

    `source` is "summary" (the DataFrame), "spectra" (a list of the spectra's JSON objects) or "plans" (a list of Plan).
    """

    draw: Callable[[Any], Figure]
    source: Literal["summary", "spectra", "plans"]
    caption: str

    def __call__(self, data: Any) -> Figure:
        """The figure of these data; ValueError where they hold nothing to draw.

        Somebody else's checkpoints are left out of what is drawn against the ratio, for they meet none.
        """
        return self.draw(data[data["checkpoint"] == ""] if self.source == "summary" else data)


FIGURES: dict[str, Drawing] = {
    "effective_rank": Drawing(depth.effective_rank, "spectra", CAPTIONS["effective_rank"]),
    "ranks": Drawing(depth.ranks, "plans", CAPTIONS["ranks"]),
    "perplexity": Drawing(curves.perplexity, "summary", CAPTIONS["perplexity"]),
    "accuracy": Drawing(curves.accuracy, "summary", CAPTIONS["accuracy"]),
    "throughput": Drawing(curves.throughput, "summary", CAPTIONS["throughput"]),
}
"""The figures by name."""


def _drawn(name: str, data: Any) -> tuple[Figure, str]:
    return FIGURES[name](data), CAPTIONS[name]


def effective_rank(material: Material) -> tuple[Figure, str]:
    """Effective ranks by layer."""
    return _drawn("effective_rank", material.spectra)


def ranks(material: Material) -> tuple[Figure, str]:
    """Ranks by layer."""
    return _drawn("ranks", material.plans)


def perplexity(material: Material) -> tuple[Figure, str]:
    """Perplexity by ratio."""
    return _drawn("perplexity", material.summary)


def accuracy(material: Material) -> tuple[Figure, str]:
    """Accuracy by ratio."""
    return _drawn("accuracy", material.summary)


def throughput(material: Material) -> tuple[Figure, str]:
    """Throughput by ratio."""
    return _drawn("throughput", material.summary)
