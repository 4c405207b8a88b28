"""The card of a model directory: made of what lies there, and what it states about the files read back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from drank.models.card.markdown import replaced, section_in
from drank.models.card.numbers import split
from drank.models.card.rendering import files_section, render
from drank.models.description import CheckpointError, described, is_compressed
from drank.models.groups import Group
from drank.models.hashes import StoredFile, WeightHashes, weight_hashes
from drank.models.tensors import size_of
from drank.runtime.files import read_json

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
