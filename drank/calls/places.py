"""Where a call may write: never over what drank has not made, nor over the model that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drank.models.card.writing import stated_hashes
from drank.models.documents import CARD
from drank.runtime.home import expanded


def told(*paths: str | Path | None) -> list[Path | None]:
    """Paths that a call was given, with the home in place of `~`, which no shell expands in Python or behind `--out=`; None stays None."""
    return [None if path is None else expanded(path) for path in paths]


def place_of(out: str | Path) -> Path:
    """Where a call writes to: what a link points to, for the folder itself is replaced by the new one."""
    return expanded(out).resolve()


def refuse_place(out: str | Path | None, model: Any, overwrite: bool, work: str | Path | None = None) -> None:
    """Raise FileExistsError for a place that holds something else than a model that drank made and that may be replaced.

    Whatever lies there goes, so that neither the model that is read nor the folder of the work may be in it.
    """
    if out is None:
        return
    place = place_of(out)
    if work is not None and place_of(work).is_relative_to(place):
        raise FileExistsError(f"{out} is to hold the model, and the work is kept in it ({work}); name another place for one of them")
    if not place.exists():
        return
    read = place_of(expanded(model)) if isinstance(model, (str, Path)) else place.parent
    if read == place and read.exists():
        raise FileExistsError(f"{place} is the very model that is read; name another place to write to")
    if read.is_relative_to(place) and read.exists():
        raise FileExistsError(f"{place} holds the model that is read, {read}; name another place to write to")
    if place.is_dir() and not any(place.iterdir()):
        return
    card = place / CARD
    if not card.is_file() or stated_hashes(card.read_text("utf-8", "replace")) is None:
        raise FileExistsError(f"{place} is there and drank has not made it; name another place to write to")
    if not overwrite:
        raise FileExistsError(f"{place} holds a model that drank made; name another place, or replace it: overwrite=True (--overwrite)")
