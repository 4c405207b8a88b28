"""Text as windows of token ids: one tokenisation per model, corpus and split, cut the same way by everybody who reads it.

A split's documents are joined and tokenised in one call. A tokenizer that opens a text with a beginning-of-sequence token puts exactly
one, at the very start; what it would put at the end is left out (`encoding`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.corpora import first_documents, load
from drank.corpora.documents import text_hash
from drank.corpora.encoding import TokenizerError, encode, past_embedding
from drank.runtime.files import replacing

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


class TooShortError(ValueError):
    """A text with fewer tokens than one window."""


@dataclass(frozen=True)
class Tokens:
    """The token ids of one split of a corpus, a vector of int32, with the hashes of the text and of the ids."""

    ids: torch.Tensor
    corpus: str
    split: str
    text_sha256: str
    ids_sha256: str

    def facts(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """What a step that draws windows by these options says of its text: the options, and the hashes of the text and of the ids."""
        return {**options, "text_sha256": self.text_sha256, "tokens_sha256": self.ids_sha256}

    def _too_short(self, length: int) -> TooShortError:
        return TooShortError(
            f"corpus {self.corpus}, split {self.split}: {len(self.ids)} tokens are fewer than one window of {length}; "
            "give it more text or ask for shorter windows (`length`)"
        )

    def consecutive(self, length: int, count: int | None = None) -> list[Tensor]:
        """The first `count` windows (all, if None) without overlap, vectors of `length` ids; a shorter tail is the last window.

        Raises TooShortError where the text does not fill one window.
        """
        if len(self.ids) < length:
            raise self._too_short(length)
        windows = list(self.ids.long().split(length))
        if len(windows[-1]) < 2:  # one token alone predicts nothing
            windows.pop()
        return windows[:count]

    def sample(self, length: int, count: int, seed: int) -> Tensor:
        """`count` windows at random places, (count, length), as SVD-LLM draws its calibration text.

        Raises TooShortError where the text does not fill one window.
        """
        import torch

        places = len(self.ids) - length + 1
        if places < 1:
            raise self._too_short(length)
        generator = torch.Generator().manual_seed(seed)
        starts = torch.randint(places, (count, 1), generator=generator)
        return self.ids[starts + torch.arange(length)].long()


def tokenize(
    tokenizer: PreTrainedTokenizerBase, corpus: str | Path, name: str, split: str, characters: int | None = None, rows: int | None = None
) -> Tokens:
    """The tokens of one split of a written corpus: of its first documents, until they hold `characters`, or of all of them.

    `rows` are those of the embedding that is to read them, where there is one. Raises TokenizerError, naming the token, for one past them.
    """
    import torch

    documents, facts = load(corpus, split)
    documents = documents if characters is None else first_documents(documents, characters)
    text = facts["join"].join(document.text for document in documents)
    found = encode(tokenizer, text)
    if rows is not None and (wrong := past_embedding(tokenizer, found, rows)):
        raise TokenizerError(f"corpus {name}, split {split}: {wrong}")
    ids = torch.tensor(found, dtype=torch.int32)
    return Tokens(ids, name, split, text_hash(text), _ids_hash(ids))


def _ids_hash(ids: Tensor) -> str:
    import hashlib

    return hashlib.sha256(ids.numpy().tobytes()).hexdigest()


def write_tokens(path: str | Path, tokens: Tokens) -> None:
    """Write tokens as a safetensors file, whole or not at all."""
    from safetensors.torch import save_file

    facts = {"corpus": tokens.corpus, "split": tokens.split, "text_sha256": tokens.text_sha256, "ids_sha256": tokens.ids_sha256}
    with replacing(path) as temporary:
        save_file({"ids": tokens.ids}, temporary, metadata={"tokens": json.dumps(facts)})  # of several keys the order would be random


def read_tokens(path: str | Path) -> Tokens:
    """The tokens in a file; raises ValueError where they do not have the hash they were written with."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["tokens"])
        tokens = Tokens(file.get_tensor("ids"), **facts)
    if _ids_hash(tokens.ids) != tokens.ids_sha256:
        raise ValueError(f"{path} is damaged: its token ids have another hash than when it was written; delete it and run again")
    return tokens
