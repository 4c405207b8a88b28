"""SHA-256 of the weights of a model directory: of every file, and of the tensors whatever file they are in."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from drank.models.tensors import stored_tensors, weight_files

_CHUNK = 1 << 22


@dataclass(frozen=True)
class StoredFile:
    """A weight file: its SHA-256 and its size in bytes."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class WeightHashes:
    """The weight files of a directory by name; `tensors` is the SHA-256 of all tensors, equal for the same weights in other shards."""

    files: dict[str, StoredFile]
    tensors: str


def weight_hashes(directory: str | Path) -> WeightHashes:
    """The hashes of the weights in a directory, in one reading of its safetensors files.

    Raises CheckpointError where a file is missing, truncated or no safetensors.
    """
    stored_tensors(directory)  # refuses what is damaged, by name
    files, lines = {}, []
    for path in weight_files(Path(directory)):
        whole, size = hashlib.sha256(), path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(8)
            text = stream.read(int.from_bytes(head, "little"))
            whole.update(head + text)
            entries = json.loads(text)
            entries.pop("__metadata__", None)
            for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
                own, (start, end) = hashlib.sha256(), entry["data_offsets"]
                for place in range(start, end, _CHUNK):
                    data = stream.read(min(_CHUNK, end - place))
                    whole.update(data)
                    own.update(data)
                lines.append(f"{name} {entry['dtype']} {entry['shape']} {own.hexdigest()}\n")
        files[path.name] = StoredFile(whole.hexdigest(), size)
    return WeightHashes(files, hashlib.sha256("".join(sorted(lines)).encode()).hexdigest())
