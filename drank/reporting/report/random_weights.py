"""Models whose weights were drawn at random: what their numbers hold for, in a sentence that a report begins with."""

from __future__ import annotations

from collections.abc import Sequence

from drank.reporting.names import listed, unique
from drank.reporting.records import Record


def random_weights(records: Sequence[Record]) -> list[str]:
    """The sentence on all such models together; none where there are none."""
    models = unique(record.model for record in records if record.provenance.get("random_weights"))
    if not models:
        return []
    return [
        f"{listed(models)} {'has' if len(models) == 1 else 'have'} random weights, and the factors in their place are random too: nothing "
        "was trained, and nothing decomposed. What is measured holds for how fast and how large such a model is, and for nothing else."
    ]
