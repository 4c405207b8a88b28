"""The card of a model directory: made of what lies there, brought up to date, and what it states about the files read back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from drank.models.card.markdown import changed_front_matter, replaced, section_in
from drank.models.card.numbers import joined, model_index, numbers, split
from drank.models.card.rendering import card_name, files_section, render
from drank.models.description import CheckpointError, described, is_compressed
from drank.models.documents import CARD, MAKING, NUMBERS
from drank.models.groups import Group
from drank.models.hashes import StoredFile, WeightHashes, weight_hashes
from drank.models.tensors import size_of
from drank.runtime.files import read_json, write_json, write_text

_FILE = re.compile(r"^\| `(?P<name>[^`]+)` \| (?P<bytes>[\d,]+) \| `(?P<sha256>[0-9a-f]{64})` \|$", re.MULTILINE)
_TENSORS = re.compile(r"^All tensors.*`(?P<sha256>[0-9a-f]{64})`$", re.MULTILINE)

CHANGED = (
    "> **Saved again with other weights.** These tensors are not those that this card describes: the model was changed, or stored in "
    "another precision, after it was made. Numbers, sizes and making below are those of the model it comes from; the hashes are of the "
    "files that lie here."
)


def card_of(directory: str | Path, making: Mapping[str, Any] | None, records: Iterable[Mapping[str, Any]] = ()) -> str:
    """The card of a compressed model whose weights and config.json lie in a directory; `making` is what making.json holds or will hold.

    `records` are dictionaries of measurements, of this model and of the dense one. Reads and hashes the weights. Raises CheckpointError
    where the directory holds no whole compressed model.
    """
    return render(groups_in(directory), size_of(directory), weight_hashes(directory), making, *split(records, making))


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


def renewed(text: str, hashes: WeightHashes) -> str:
    """A card with the hashes of files that hold the same model again, and a note where the tensors are others than it describes."""
    before = stated_hashes(text)
    if before is not None and before.tensors != hashes.tensors:
        text = replaced(text, "note", CHANGED)
    return replaced(text, "files", files_section(hashes))


def stated_hashes(text: str) -> WeightHashes | None:
    """The hashes that a card states of its weight files; None where it states none."""
    body = section_in(text, "files") or ""
    tensors = _TENSORS.search(body)
    files = {found["name"]: StoredFile(found["sha256"], int(found["bytes"].replace(",", ""))) for found in _FILE.finditer(body)}
    return WeightHashes(files, tensors["sha256"]) if files and tensors else None


def groups_in(directory: str | Path) -> tuple[Group, ...]:
    """The groups that config.json of a compressed model describes; raises CheckpointError where drank did not compress it."""
    quantization = read_json(Path(directory) / "config.json").get("quantization_config") or {}
    if not is_compressed(quantization):
        raise CheckpointError(f"{directory} is not compressed by drank: its config.json describes no groups; name another directory")
    return described(quantization)


def _json(path: Path) -> Any:
    """What a JSON file holds, None where it is not there."""
    return json.loads(path.read_text("utf-8")) if path.is_file() else None
