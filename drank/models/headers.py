"""The header of a safetensors file: which tensors it holds, where, and whether the file is what its header says."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drank.models.description import CheckpointError
from drank.runtime.stand_ins import stand_in

REMEDY = "delete it and rerun `compress`, or fetch the model again"

LONGEST = 100_000_000
"""The longest header that safetensors reads, in bytes."""

BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""The bytes of a number of the types that all versions of safetensors know."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the header of its file describes it; its `bytes` begin at `start`, `dtype` is as safetensors call it."""

    name: str
    file: Path
    shape: tuple[int, ...]
    bytes: int
    dtype: str
    start: int

    @property
    def elements(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)


def read_header(file: Path) -> dict[str, StoredTensor]:
    """The tensors of one safetensors file: eight bytes of length, that much JSON, then as many bytes as the JSON's offsets span.

    Raises CheckpointError for a file that is something else, truncated or at odds with its header.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        first = stream.read(9)
        length = int.from_bytes(first[:8], "little")
        if first[8:] != b"{" and (there := stand_in(file)):
            raise CheckpointError(f"{file} {there}; where a run made it, delete it and rerun `compress`")
        if length > LONGEST:
            raise CheckpointError(f"{file} is no safetensors file, it begins with {first!r}; {REMEDY}")
        stream.seek(8)
        if size < 8 + length:
            raise CheckpointError(f"{file} is truncated: it has {size} bytes and its header alone {8 + length}; {REMEDY}")
        text = stream.read(length)
    try:
        entries = json.loads(text)
        entries.pop("__metadata__", None)
        tensors = {name: _tensor(name, file, entry, 8 + length) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{file} has no safetensors header ({error!r}); {REMEDY}") from error
    end = 8 + length
    for tensor in sorted(tensors.values(), key=lambda one: (one.start, one.bytes)):
        wanted = tensor.elements * BYTES[tensor.dtype] if tensor.dtype in BYTES else tensor.bytes
        if (tensor.start, tensor.bytes) != (end, wanted):
            raise CheckpointError(f"{file} is corrupt: its header places {tensor.name} wrongly; {REMEDY}")
        end += tensor.bytes
    if size != end:
        raise CheckpointError(f"{file} is truncated or corrupt: it has {size} bytes and its header promises {end}; {REMEDY}")
    return tensors


def _tensor(name: str, file: Path, entry: Any, after: int) -> StoredTensor:
    start, end = map(int, entry["data_offsets"])
    shape = tuple(map(int, entry["shape"]))
    if start > end or min(shape, default=0) < 0:
        raise ValueError(f"{name} ends before it begins")
    return StoredTensor(name, file, shape, end - start, str(entry["dtype"]), after + start)
