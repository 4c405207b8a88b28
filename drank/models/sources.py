"""Where models come from: embedded ones, local directories and hub snapshots, read without building the model.

Weights are read from safetensors only; a checkpoint that exists only as a pickle is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.models.licence import licence_of
from drank.models.soundness import adapted, unsound
from drank.runtime.files import read_json
from drank.testbed import MODELS

MODEL_SUFFIXES = (".json", ".safetensors", ".model", ".txt", ".jinja")
"""Of the files that make a model: configuration, weights, tokenizer."""


class SourceError(ValueError):
    """A model that is not where the configuration says, or not in a form drank reads."""


def directory_of(source: Mapping[str, Any]) -> Path:
    """The directory of a configured model; for a hub model its snapshot in the local cache.

    Raises SourceError where it is not there; nothing is downloaded: that is `prefetch`'s part.
    """
    if "embedded" in source:
        return MODELS / source["embedded"]
    if "path" in source:
        return Path(source["path"])
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source["hub"], revision=source.get("revision"), local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise SourceError(
            f"model {source['hub']} is not in the local hub cache; run `snakemake prefetch` on a machine with a network, "
            "or set HF_HOME to the folder that holds it"
        ) from error


def problems_of(source: Mapping[str, Any]) -> list[str]:
    """What is wrong with a model on this machine's disk, empty where nothing is; of a hub model that is not fetched yet, nothing."""
    try:
        directory = directory_of(source)
    except SourceError:
        return []
    except ValueError as error:  # no id that the hub could have
        return [str(error)]
    if (directory / "config.json").is_file():
        return list(unsound(directory, partial="hub" in source))
    if "hub" in source:
        return []
    if adapter := list(adapted(directory)):
        return adapter
    shipped = ", ".join(sorted(path.parent.name for path in MODELS.glob("*/config.json")))
    there = f"; embedded models: {shipped}" if "embedded" in source else ""
    return [f"{directory} holds no config.json, so it is no Hugging Face model directory{there}"]


def local_files_of(source: Mapping[str, Any]) -> list[str]:
    """The files of a model that the configuration places on this machine; none for a hub model."""
    return [] if "hub" in source else list(map(str, _files_of(directory_of(source))))


def describe_source(source: Mapping[str, Any]) -> dict[str, Any]:
    """What a configured model is: its source, for a hub model with the commit as revision, its licence, and the SHA-256 of its files."""
    directory = directory_of(source)
    fixed = {**source, "revision": directory.name} if "hub" in source else dict(source)
    return {"source": fixed, "licence": licence_of(directory), "files": fingerprint(directory)}


def without_place(description: Mapping[str, Any]) -> dict[str, Any]:
    """What `describe_source` says, fit to be published: of a path on this machine only the last name is left."""
    source = dict(description["source"])
    if "path" in source:
        source["path"] = Path(source["path"]).resolve().name
    return {**description, "source": source}


def model_directory(path: str | Path) -> Path:
    """The directory of a model: a compressed one itself, or the one that a source file (`results/sources/*.json`) describes."""
    path = Path(path)
    return directory_of(read_json(path)["source"]) if path.suffix == ".json" else path


def fingerprint(directory: Path) -> dict[str, str]:
    """SHA-256 of every configuration, tokenizer and weight file of a model directory, by file name."""
    hashes = {}
    for path in _files_of(directory):
        with path.open("rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _files_of(directory: Path) -> list[Path]:
    return sorted(path for path in directory.glob("*") if path.suffix in MODEL_SUFFIXES and path.is_file())
