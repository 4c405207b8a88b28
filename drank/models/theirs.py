"""Somebody else's checkpoint, measured beside the dense model of a run: where it lies, and what forbids comparing the two.

Both are measured on the same tokens, those of the dense model's tokenizer, so that differences can be paired. That means something only
where each token has the same number in both.
"""

from __future__ import annotations

import filecmp
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drank.models.documents import ROUNDING
from drank.models.soundness import adapted, misread
from drank.models.sources import Places, SourceError, directory_of, fingerprint, model_directory
from drank.runtime.files import read_json

REMEDY = "compare it with the model that it was made from, or give one with that model's tokenizer"


@dataclass(frozen=True)
class Theirs:
    """A checkpoint as a run found it, its source and the hashes of its files, and where the dense model lies that it is compared with."""

    description: dict[str, Any]
    dense: Path

    @classmethod
    def of(cls, found: str | Path, beside: str | Path, places: Places) -> Theirs:
        """From the source file of the checkpoint, or the directory of a rounded model, that of the dense one, and the places by name."""
        return cls(_rounded(Path(found)) if Path(found).is_dir() else read_json(found), model_directory(beside, places))

    @property
    def rounded(self) -> bool:
        """Whether it is the dense model rounded, in whose files the run has put the rest in its own precision."""
        return rounds(self.description["source"])


def rounds(checkpoint: Mapping[str, Any] | None) -> bool:
    """Whether a run makes this checkpoint itself: the dense model rounded to so many `bits`, with a scale for each `block` of weights."""
    return checkpoint is not None and "bits" in checkpoint


def _rounded(directory: Path) -> dict[str, Any]:
    """What a rounded model is, as its own folder says, and the SHA-256 of its files."""
    return {**read_json(directory / ROUNDING), "files": fingerprint(directory)}


def place_of(checkpoint: Mapping[str, Any]) -> str:
    """Where a checkpoint lies, in a word: its path, or its hub id and revision, such as `org/name@main`; else how it was rounded."""
    if rounds(checkpoint):
        by = f" by {checkpoint['library']}" if "library" in checkpoint else ""
        return f"the dense model rounded to {checkpoint['bits']} bits in blocks of {checkpoint['block']}{by}"
    if "path" in checkpoint:
        return str(checkpoint["path"])
    return f"{checkpoint['hub']}@{checkpoint['revision']}" if checkpoint.get("revision") else str(checkpoint["hub"])


def faults_of(checkpoint: Mapping[str, Any], dense: Mapping[str, Any]) -> list[str]:
    """Why a checkpoint cannot stand beside a dense model, both given as in a configuration; empty where it can.

    What is not on this machine yet is not looked at if it comes from a hub.
    """
    try:
        directory = directory_of(checkpoint)
    except SourceError:
        return []
    if not directory.is_dir():
        return ["there is no such folder (relative paths start at the configuration file's folder); correct `path`"]
    if not (directory / "config.json").is_file():
        return ["it holds no config.json, so it is no Hugging Face model directory; save the model there with `save_pretrained`"]
    return list(_faults(directory, dense))


def _faults(directory: Path, dense: Mapping[str, Any]) -> Iterator[str]:
    yield from adapted(directory)
    if any(directory.glob("*.safetensors")):
        yield from misread(directory)
    else:
        yield "it holds no .safetensors file; save the model with `save_pretrained` (pickles are not read)"
    try:
        yield from _other_vocabulary(directory, directory_of(dense))
    except (SourceError, FileNotFoundError):
        return  # a dense model that is not here yet, or whose own fault is told elsewhere
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"its vocabulary cannot be compared with the dense model's ({error!r}); save both with their tokenizers again"


def _other_vocabulary(directory: Path, dense: Path) -> Iterator[str]:
    """In what the vocabularies of two model directories differ, as far as their files tell."""
    mine, theirs = (_vocab_size(read_json(folder / "config.json")) for folder in (dense, directory))
    if mine and theirs and mine != theirs:
        yield f"its vocabulary has {theirs} entries and the dense model's {mine} (vocab_size in config.json); {REMEDY}"
        return
    files = dense / "tokenizer.json", directory / "tokenizer.json"
    if not all(file.is_file() for file in files) or filecmp.cmp(*files, shallow=False):
        return
    one, two = map(read_json, files)
    numbers, others = _numbers(one), _numbers(two)
    if differ := [token for token, number in numbers.items() if others.get(token) != number]:
        told = f"{differ[0]!r} is {numbers[differ[0]]} there and {others.get(differ[0], 'absent')} here"
        yield f"its tokenizer.json gives {len(differ)} of the dense model's {len(numbers)} tokens another number or none ({told}); {REMEDY}"
    elif _cuts(one) != _cuts(two):
        yield f"its tokenizer.json cuts text otherwise than the dense model's, by other merges or scores of the same tokens; {REMEDY}"


def _vocab_size(config: Mapping[str, Any]) -> int | None:
    """The entries of a vocabulary; None where the config leaves them to a default."""
    return config.get("vocab_size") or (config.get("text_config") or {}).get("vocab_size")


def _numbers(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """The number of each token; unigram models list their tokens in order, each with a score."""
    vocabulary = tokenizer["model"]["vocab"]
    known = vocabulary if isinstance(vocabulary, dict) else {token: number for number, (token, _) in enumerate(vocabulary)}
    return {**known, **{token["content"]: token["id"] for token in tokenizer.get("added_tokens") or ()}}


def _cuts(tokenizer: Mapping[str, Any]) -> Any:
    """What decides between several ways to cut a word: merges, written as pairs or with a space between, or the scores."""
    model = tokenizer["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model.get("merges") or ()]
    return merges, None if isinstance(model["vocab"], dict) else model["vocab"]
