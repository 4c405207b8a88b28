"""A model, its texts and a folder: what all measurements of the benchmark of L-Rank start from."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor
from transformers import PreTrainedModel

from drank.corpora import load, read, write
from drank.corpora.beginnings import TEXT, WINDOW
from drank.corpora.windows import Tokens, read_tokens, tokenize, write_tokens
from drank.models.checkpoint import load_model, load_tokenizer
from drank.models.families import needs_bos
from drank.models.residency import open_skeleton
from drank.models.sources import fingerprint
from drank.models.weights import Checkpoint
from drank.runtime.files import read_json, replacing, write_json


class Source(NamedTuple):
    """Where the text of a corpus comes from, as the configuration says it, and how many characters of each split are read."""

    place: Mapping[str, Any]
    characters: int | None = None


@dataclass(frozen=True)
class Settings:
    """What every number of a folder has in common: tokens in a window, windows evaluated of each corpus, seed of all draws, dtype."""

    length: int
    evaluated: int
    seed: int
    dtype: str


class Materials:
    """A model, its texts, and the folder of all that is made of them."""

    def __init__(self, source: Path, folder: Path, corpora: Mapping[str, Source], settings: Settings, batch: int, device: str) -> None:
        """Reads all texts. Raises ValueError where the folder holds numbers of another model, other texts or other settings."""
        self.source, self.folder, self.settings, self.batch, self.device = source, folder, settings, batch, device
        self.checkpoint = Checkpoint(source)
        self.bos = WINDOW if needs_bos(read_json(source / "config.json")) else TEXT
        self.texts = {name: self._tokens(name, place) for name, place in corpora.items()}
        hashes = {name: {split: text.ids_sha256 for split, text in splits.items()} for name, splits in self.texts.items()}
        places = {name: {"place": dict(place.place), "characters": place.characters} for name, place in corpora.items()}
        facts = {"model": fingerprint(source), "corpora": places, "texts": hashes, "bos": self.bos, **asdict(settings)}
        if (path := folder / "settings.json").exists() and {"bos": TEXT} | read_json(path) != facts:  # text was all there was
            raise ValueError(
                f"{folder} holds measurements of another model, other texts or other settings (settings.json); give another --out"
            )
        write_json(path, facts)

    def _tokens(self, name: str, source: Source) -> dict[str, Tokens]:
        """The token ids of a corpus by split."""
        folder = self.folder / "tokens" / name
        if not folder.exists():
            say(f"reading {name}")
            with replacing(folder) as partial:
                partial.mkdir(parents=True)
                write(partial / "text.parquet", source.place, read(source.place))
                tokenizer = load_tokenizer(self.source)
                for split in sorted({document.split for document in load(partial / "text.parquet")[0]} & {"train", "test"}):
                    text = tokenize(tokenizer, partial / "text.parquet", name, split, source.characters)
                    write_tokens(partial / f"{split}.safetensors", text)
                (partial / "text.parquet").unlink()
        return {path.stem: read_tokens(path) for path in sorted(folder.glob("*.safetensors"))}

    def evaluated(self, corpus: str) -> list[Tensor]:
        """The windows of a corpus on which models are measured: the first of its test text."""
        return self.texts[corpus]["test"].consecutive(self.settings.length, self.settings.evaluated, self.bos)

    def trains(self, corpus: str) -> bool:
        """Whether a corpus has text of its own to calibrate on."""
        return "train" in self.texts[corpus]

    def calibration_text(self, corpus: str) -> Tokens:
        """What a calibration draws its windows from: the train text, or where there is none the test text after the evaluated windows."""
        if self.trains(corpus):
            return self.texts[corpus]["train"]
        test = self.texts[corpus]["test"]
        return replace(test, ids=test.ids[self.settings.evaluated * self.settings.length :])

    def model(self) -> PreTrainedModel:
        """A fresh copy of the dense model."""
        return load_model(self.source, self.settings.dtype, self.device)

    def skeleton(self) -> PreTrainedModel:
        """The dense model, of which one block at a time is in memory."""
        return open_skeleton(self.source, self.settings.dtype, self.device)


def made(path: Path, make: Callable[[], Any]) -> Path:
    """The path, after `make` has written it where it was absent."""
    if not path.exists():
        make()
    return path


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
