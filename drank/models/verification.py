"""Whether the files of a model directory are those that its card states, and the tensors those that its config.json promises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from drank.models.card.writing import stated_hashes
from drank.models.description import CheckpointError, described, is_compressed
from drank.models.documents import CARD
from drank.models.headers import StoredTensor
from drank.models.tensors import by_stored_name, stored_tensors, tensors_of, weight_files
from drank.runtime.files import file_hash, read_json


def verify(directory: str | Path) -> str:
    """What was found in order, in words: `verified: …`, or `not verified: …` and why where there is no card to hold the files to.

    Raises CheckpointError, with the hash stated and the one found, for a weight file that is not the one of the card, and for tensors
    that are missing or have another shape than config.json promises.
    """
    directory = Path(directory)
    tensors, config = stored_tensors(directory), read_json(directory / "config.json")
    if expected := _expected(config):
        tensors = by_stored_name(config["model_type"], tensors)
    if wrong := list(_wrong(expected, tensors)):
        raise CheckpointError(
            f"{directory} is not the model that its config.json describes; rerun `compress`, or fetch it again:\n  " + "\n  ".join(wrong)
        )
    promised = f"{len(expected)} tensors of low-rank and dense projections are as config.json promises" if expected else ""
    return verify_files(directory, weight_files(directory), promised)


def verify_files(directory: Path, files: Iterable[Path], promised: str = "") -> str:
    """What is found of weight files held against the card beside them, as `verify` says it, with what else was `promised` and kept."""
    path = directory / CARD
    stated = stated_hashes(path.read_text("utf-8", "replace")) if path.is_file() else None
    if stated is None:
        why = f"the {CARD} states no hashes" if path.is_file() else f"there is no {CARD} to state hashes"
        return f"not verified: {why}" + (f"; {promised}" if promised else "")
    present = {file.name: file for file in files if file.exists()}
    if bad := list(_other_files(present, {name: file.sha256 for name, file in stated.files.items()})):
        raise CheckpointError(
            f"{directory} does not hold the weights that its {CARD} states; fetch or copy these files again, or rerun `compress`. Where "
            f"they were changed on purpose, save the model by `save_pretrained`, which writes their hashes into the card:\n  "
            + "\n  ".join(bad)
        )
    found = f"{len(present)} weight file{'s have' if len(present) > 1 else ' has'} the SHA-256 of the card"
    return f"verified: {found}" + (f"; {promised}" if promised else "")


def _other_files(present: Mapping[str, Path], stated: Mapping[str, str]) -> Iterator[str]:
    """A line for every file that is not the one stated."""
    for name in sorted(present.keys() | stated.keys()):
        if name not in present:
            yield f"{name}: the card states {stated[name]}, the directory does not have it"
        elif name not in stated:
            yield f"{name}: the card states no such file"
        elif (found := file_hash(present[name])) != stated[name]:
            yield f"{name}: the card states {stated[name]}, the file has {found}"


def _expected(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that a description of drank promises, by the name it has in the files."""
    quantization = config.get("quantization_config") or {}
    if not is_compressed(quantization):
        return {}
    return {name: sides for group in described(quantization) for name, sides in tensors_of(config["model_type"], group).items()}


def _wrong(expected: Mapping[str, tuple[int, ...]], tensors: Mapping[str, StoredTensor]) -> Iterator[str]:
    """A line for every promised tensor that is not there or has another shape."""
    for name, shape in expected.items():
        if name not in tensors:
            yield f"{name}: missing"
        elif tensors[name].shape != shape:
            yield f"{name}: shape {list(tensors[name].shape)}, config.json promises {list(shape)}"
