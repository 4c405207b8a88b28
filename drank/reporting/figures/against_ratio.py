"""Quality and speed against the ratio: a line for each of a few methods, or a row of dots for each of many."""

from __future__ import annotations

from dataclasses import replace

from drank.reporting.figures import curves, dots
from drank.reporting.figures.method_order import crowded
from drank.reporting.figures.quantity import ACCURACY, PERPLEXITY, THROUGHPUT, Quantity
from drank.reporting.figures.sheet import Drawn, Width, note, styled
from drank.reporting.figures.words import left_out, sentences
from drank.reporting.material import Material
from drank.reporting.neighbours import where


def perplexity(material: Material, width: Width) -> Drawn:
    """Perplexity, a panel for each model and corpus."""
    return _draw(material, PERPLEXITY, width)


def accuracy(material: Material, width: Width) -> Drawn:
    """Average accuracy, a panel for each model."""
    return _draw(material, ACCURACY, width)


def throughput(material: Material, width: Width) -> Drawn:
    """Speed over that of dense (the paper's figure 4), a panel for each model and phase."""
    return _draw(material, replace(THROUGHPUT, noun=f"Throughput{where(material.numbers)} over that of the uncompressed model"), width)


@styled
def _draw(material: Material, quantity: Quantity, width: Width) -> Drawn:
    rows = quantity.rows(material)
    if rows.empty:
        return note(quantity.missing, width)
    drawn = (dots if crowded(rows) else curves).draw(rows, quantity, width)
    return Drawn(drawn.figure, sentences(drawn.caption, left_out(material, rows)))
