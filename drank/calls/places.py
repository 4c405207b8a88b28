"""Where a call may write: never over what drank has not made, nor over the model that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drank.models.card.writing import stated_hashes
from drank.models.documents import CARD


def refuse_place(out: str | Path | None, model: Any, overwrite: bool) -> None:
    """Raise FileExistsError for a place that holds something else than a model that drank made and that may be replaced."""
    if out is None or not Path(out).exists():
        return
    place = Path(out)
    if isinstance(model, (str, Path)) and Path(model).exists() and place.samefile(model):
        raise FileExistsError(f"{place} is the very model that is read; name another place to write to")
    if place.is_dir() and not any(place.iterdir()):
        return
    card = place / CARD
    if not card.is_file() or stated_hashes(card.read_text("utf-8", "replace")) is None:
        raise FileExistsError(f"{place} is there and drank has not made it; name another place to write to")
    if not overwrite:
        raise FileExistsError(f"{place} holds a model that drank made; name another place, or replace it: overwrite=True (--overwrite)")
