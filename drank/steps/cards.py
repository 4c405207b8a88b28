"""Write the numbers of a run into the cards of its compressed models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drank.models.card.updating import update_card
from drank.models.documents import CARD
from drank.reporting.records import read_records
from drank.runtime.files import write_text


def run(output: str | Path, *, models: Sequence[str], records: Sequence[str]) -> None:
    """Bring the card of each model directory up to date, and write a list of them."""
    found = [record.to_dict() for record in read_records(records)]
    for model in models:
        update_card(model, found)
    write_text(output, "".join(f"{model}/{CARD}\n" for model in models))
