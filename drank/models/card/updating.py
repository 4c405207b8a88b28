"""The card of a model directory, brought up to date with what was measured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from drank.models.card.markdown import changed_front_matter, replaced
from drank.models.card.numbers import joined, model_index, numbers, split
from drank.models.card.rendering import card_name
from drank.models.card.writing import card_of
from drank.models.documents import CARD, MAKING, NUMBERS
from drank.runtime.files import write_json, write_text


def update_card(directory: str | Path, records: Iterable[Mapping[str, Any]], keep: bool = False) -> str:
    """Writes the numbers of these records into the card of a model directory, and returns the card; numbers.json holds them beside it.

    With `keep` numbers that stand there already stay, but for those that were measured again; without, these are all. Everything else stays
    as it is, also what people have written into the card; no weight is hashed again. Records of other compressed models are left out. A
    directory without a card gets one. Raises ValueError where no record is of the model in this directory.
    """
    directory = Path(directory)
    making, path, records = _json(directory / MAKING), directory / CARD, list(records)
    own, dense = split(records, making)
    if not own:
        raise ValueError(
            f"none of the {len(records)} records is of the model in {directory}: their `making` must have the date, label and ratio of its "
            f"{MAKING}; measure this model, or name the directory that was measured"
        )
    before = split(_json(directory / NUMBERS) or [], making) if keep else ([], [])
    own, dense = joined(before[0], own), joined(before[1], dense)
    text = path.read_text("utf-8") if path.is_file() else card_of(directory, making)
    text = replaced(text, "numbers", numbers(own, dense))
    text = changed_front_matter(text, model_index=model_index(card_name(making), own))
    write_json(directory / NUMBERS, [*own, *dense])
    write_text(path, text)
    return text


def _json(path: Path) -> Any:
    """What a JSON file holds, None where it is not there."""
    return json.loads(path.read_text("utf-8")) if path.is_file() else None
