"""Where models come from: embedded ones, local directories, hub snapshots, GGUF files and shapes, read without building the model.

Weights are read from safetensors only; a checkpoint that exists only as a pickle is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from drank.models.families import family_of
from drank.models.gguf import GGUFError, file_of, unpacked
from drank.models.licence import licence_of
from drank.models.shapes import KEY as SHAPE
from drank.models.shapes import ShapeError, drawn, is_shape, told_by
from drank.models.soundness import adapted, unsound
from drank.models.tokenizer_files import tokenizer_problems
from drank.runtime.content import content_of
from drank.runtime.files import read_json
from drank.runtime.snapshots import cached
from drank.testbed import MODELS

MODEL_SUFFIXES = (".json", ".safetensors", ".model", ".txt", ".jinja")
"""Of the files that make a model: configuration, weights, tokenizer."""

PLACED = ("path", "gguf")
"""The keys of a source that hold a path on this machine."""

Places = Mapping[str, Mapping[str, Any]]
"""The sources of a run's models by name, which say where each lies."""


class SourceError(ValueError):
    """A model that is not where the configuration says, or not in a form drank reads."""


def directory_of(source: Mapping[str, Any]) -> Path:
    """The directory of a configured model; for a hub model its snapshot in the local cache, for a GGUF file or a shape what was made of it.

    Raises SourceError where it is not there; nothing is downloaded: that is `prefetch`'s part.
    """
    if "embedded" in source:
        return MODELS / source["embedded"]
    if "path" in source:
        return Path(source["path"])
    try:
        if is_shape(source):
            return drawn(source)
        if file := file_of(source):
            return unpacked(file)
    except (GGUFError, ShapeError) as error:
        raise SourceError(str(error)) from error
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return cached(source["hub"], source.get("revision"))
    except LocalEntryNotFoundError as error:
        raise SourceError(
            f"model {source['hub']} is not in the local hub cache; run `drank run CONFIGURATION prefetch` on a machine with a network, "
            "or set HF_HOME to the folder that holds it"
        ) from error


def problems_of(source: Mapping[str, Any]) -> list[str]:
    """What is wrong with a model on this machine's disk, empty where nothing is; of a hub model that is not fetched yet, nothing."""
    try:
        directory = directory_of(source)
    except ValueError as error:
        return [] if "hub" in source and isinstance(error, SourceError) else [str(error)]  # else no id that the hub could have
    if (directory / "config.json").is_file():
        found = list(unsound(directory, partial="hub" in source))
        return found if "hub" in source or is_shape(source) else [*found, *tokenizer_problems(directory)]
    if "hub" in source:
        return []
    if adapter := list(adapted(directory)):
        return adapter
    shipped = ", ".join(sorted(path.parent.name for path in MODELS.glob("*/config.json")))
    there = f"; embedded models: {shipped}" if "embedded" in source else ""
    return [f"{directory} holds no config.json, so it is no Hugging Face model directory{there}"]


def local_files_of(source: Mapping[str, Any]) -> list[str]:
    """The files of a model that the configuration places on this machine; none for a hub model, or one that the run makes."""
    if isinstance(source.get(SHAPE), str):
        return [source[SHAPE]]
    with suppress(GGUFError):  # which `problems_of` tells
        if file := file_of(source):
            return [str(file)]
    return list(map(str, _files_of(directory_of(source)))) if {"embedded", "path"} & source.keys() else []


def identity_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a configured model another, beside its files on this machine: a hub's commit, and what drank knows of its family."""
    known: dict[str, Any] = {key: value for key, value in source.items() if key not in (*PLACED, SHAPE, "methods")}
    with suppress(SourceError, OSError, ValueError):
        directory = directory_of(source)
        known |= {"commit": directory.name} if "hub" in source else {}
        known |= {"unpacked": directory.name} if {"gguf", "package", SHAPE} & source.keys() else {}  # by another transformers it is another
        known["family"] = family_hash(directory)
    return known


def describe_source(source: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What a configured model is, called `name`: its source, its licence, its family and the SHA-256 of its files.

    Of a path on this machine the source tells the last name alone, of a hub model the commit as revision, of a shape the whole of it.
    """
    directory = directory_of(source)
    source = {**source, SHAPE: told_by(source)} if is_shape(source) else source
    fixed = {**source, "revision": directory.name} if "hub" in source else without_place(source)
    fixed |= {"version": version(source["package"])} if "package" in source else {}
    told = {"name": name, "source": fixed, "licence": licence_of(directory), "files": fingerprint(directory)}
    return told | {"family": family_hash(directory)}


def base_of(source: str | Path, directory: Path) -> dict[str, Any]:
    """What a source file says of the model in a directory, for what is made of it: with the licence that the directory states now.

    That decides no number, so that another licence has nothing read or made again, and what is made after it states it all the same.
    """
    return {**read_json(source), "licence": licence_of(directory)}


def without_place(source: Mapping[str, Any]) -> dict[str, Any]:
    """A source fit to be published, and equal where the same model lies elsewhere: of a path on this machine only the last name is left."""
    return {key: Path(value).resolve().name if key in PLACED else value for key, value in source.items()}


def model_directory(path: str | Path, places: Places | None = None) -> Path:
    """The directory of a model: a compressed one itself, or the one that a source file (`results/sources/*.json`) describes.

    `places` are the sources of a configuration by name, which say where models lie now. Raises SourceError where one is not, or not any
    more, what was described: all that was computed from it would be of another model.
    """
    path = Path(path)
    if path.suffix != ".json":
        return path
    told = read_json(path)
    place = (places or {})[told["name"]]
    directory = directory_of({**place, "revision": told["source"]["revision"]} if "hub" in place else place)
    files = told["files"].items()
    if changed := [name for name, known in files if not (directory / name).is_file() or content_of(directory / name) != known]:
        raise SourceError(
            f"{directory}: {', '.join(changed)} changed since this run has read the model ({path}); run again, and what was computed from "
            "the former files is computed anew"
        )
    return directory


def fingerprint(directory: Path) -> dict[str, str]:
    """SHA-256 of every configuration, tokenizer and weight file of a model directory, by file name."""
    return {path.name: content_of(path) for path in _files_of(directory)}


def family_hash(directory: Path) -> str | None:
    """A hash of what drank knows of a model's family, None for one that it does not know, which can be measured all the same."""
    with suppress(ValueError):
        family = asdict(family_of(read_json(directory / "config.json")))
        told = {key: sorted(value) if isinstance(value, frozenset) else value for key, value in family.items()}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
    return None


def _files_of(directory: Path) -> list[Path]:
    return sorted(path for path in directory.glob("*") if path.suffix in MODEL_SUFFIXES and path.is_file())
