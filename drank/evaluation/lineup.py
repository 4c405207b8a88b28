"""What one job times: the models asked for, the dense model that they are compared with, and two that compute the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drank.evaluation.twins import shapes_hash, twins_of
from drank.models.description import quantised_by
from drank.models.sources import Places, model_directory
from drank.models.tensors import size_of
from drank.runtime.files import read_json

REFERENCE = "dense (reference)"
"""What the dense model is called that is timed beside models of a ratio, of which it is none."""


@dataclass(frozen=True)
class Lineup:
    """Paths and directories of all that is timed, by name; the name of the dense model among them; names of twins by their hash."""

    paths: dict[str, str]
    directories: dict[str, Path]
    reference: str | None
    twins: dict[str, list[str]]

    @classmethod
    def of(cls, models: Mapping[str, str], beside: str | None, places: Places) -> Lineup:
        """The models, the dense one whose source file is `beside` unless it is one of them, and one of them twice if no two are twins.

        A single model has nothing to be told apart from, and no twin. Raises SourceError and CheckpointError for models that are not there.
        """
        paths = dict(models)
        reference = next((name for name, path in paths.items() if path == beside), REFERENCE) if beside else None
        if beside and reference:
            paths.setdefault(reference, beside)
        directories = {name: model_directory(path, places) for name, path in paths.items()}
        hashes = {name: shapes_hash(directory) for name, directory in directories.items()}
        if len(paths) > 1 and not twins_of(hashes):
            once = reference or next(iter(paths))
            again = f"{once} (again)"
            paths[again], directories[again], hashes[again] = paths[once], directories[once], hashes[once]
        return cls(paths, directories, reference, twins_of(hashes))

    def weights(self, itemsize: int) -> int:
        """About how many bytes all of them take at once, in a precision of so many bytes; packed ones are unpacked when they run."""
        directories = self.directories.values()
        most = max(size_of(directory).parameters for directory in directories)
        packed = {directory for directory in directories if quantised_by(read_json(directory / "config.json"))}
        sizes = ((size_of(directory), directory in packed) for directory in directories)
        return sum(max(size.bytes, (most if unpacked else size.parameters) * itemsize) for size, unpacked in sizes)

    def caches(self, sizes: Mapping[str, int], dtype: str) -> int:
        """How many bytes all of them take for keys and values, where every layer holds all tokens; `sizes` as `measure` takes them."""
        import torch
        from transformers import AutoConfig

        tokens = sizes["batch"] * (sizes["prompt"] + sizes["generate"])
        configs = [AutoConfig.from_pretrained(directory).get_text_config() for directory in self.directories.values()]
        numbers = sum(2 * config.num_hidden_layers * _key_width(config) * tokens for config in configs)
        return numbers * int(getattr(torch, dtype).itemsize)


def _key_width(config: Any) -> int:
    """The numbers that a layer keeps of a token as keys, and again as values."""
    heads = config.num_attention_heads
    return (getattr(config, "num_key_value_heads", None) or heads) * (getattr(config, "head_dim", None) or config.hidden_size // heads)
