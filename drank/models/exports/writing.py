"""What every export of tensors does: write them to files, a shard at a time, and take along what lies beside them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drank.models.carried import TOKENIZER_FILES, beside
from drank.models.headers import StoredTensor
from drank.models.tensors import INDEX, WEIGHTS
from drank.models.weights import read_tensors
from drank.runtime.files import write_json

if TYPE_CHECKING:
    from torch import Tensor

BESIDE = (*TOKENIZER_FILES, "generation_config.json", "*.jinja", "*.txt")
"""What of the folder of a model is its exported form's too: no weights in another form, and nothing that was noted of those there."""


@dataclass(frozen=True)
class Output:
    """A tensor that is written: its name and size in bytes, and what gives it."""

    name: str
    bytes: int
    read: Callable[[], Tensor]


def read_one(tensor: StoredTensor) -> Tensor:
    """A tensor as it is stored."""
    return read_tensors({tensor.name: tensor})[tensor.name]


def write_shards(directory: Path, outputs: Iterable[Output], max_shard_size: int | str) -> None:
    """Write the tensors, in the order of their names, to one file, or to several and an index where they are larger than a shard may be."""
    from safetensors.torch import save_file
    from transformers.utils.hub import convert_file_size_to_int

    limit, size = convert_file_size_to_int(max_shard_size), 0
    shards: list[list[Output]] = [[]]
    for output in sorted(outputs, key=lambda output: _natural(output.name)):
        if shards[-1] and size + output.bytes > limit:
            shards.append([])
            size = 0
        shards[-1].append(output)
        size += output.bytes
    total = len(shards)
    names = [WEIGHTS] if total == 1 else [f"model-{number:05d}-of-{total:05d}.safetensors" for number in range(1, total + 1)]
    for name, shard in zip(names, shards, strict=True):
        save_file({output.name: output.read() for output in shard}, directory / name, metadata={"format": "pt"})
    if total > 1:
        weight_map = {output.name: name for name, shard in zip(names, shards, strict=True) for output in shard}
        total_size = sum(output.bytes for shard in shards for output in shard)
        write_json(directory / INDEX, {"metadata": {"total_size": total_size}, "weight_map": weight_map})


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts layer 2 before layer 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


def take_along(directory: Path, out: Path) -> None:
    """Copy what lies beside weights and configuration and is the exported model's too; what `out` has already stays."""
    for name, path in beside(directory, BESIDE).items():
        if not (out / name).exists():
            (out / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, out / name)
