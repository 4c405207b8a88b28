"""Text as windows of token ids: one tokenisation per model, corpus and split, cut the same way by everybody who reads it.

A split's documents are joined and tokenised in one call. A tokenizer that opens a text with a beginning-of-sequence token puts exactly
one, at the very start; what it would put at the end is left out (`encoding`). Where windows begin otherwise (`beginnings`) they are cut
from the text without it, so that it never stands twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.corpora import first_documents, load
from drank.corpora.beginnings import NONE, TEXT, WINDOW, convention_in
from drank.corpora.documents import text_hash
from drank.corpora.encoding import TokenizerError, beginning_of, encode, opening_of, past_embedding
from drank.runtime.files import replacing

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


class TooShortError(ValueError):
    """A text with fewer tokens than one window."""


@dataclass(frozen=True)
class Tokens:
    """The token ids of one split of a corpus, a vector of int32, with the hashes of the text and of the ids.

    The first `opening` of them are what the tokenizer puts before a text; `bos` is the token that begins one, None without any.
    """

    ids: torch.Tensor
    corpus: str
    split: str
    text_sha256: str
    ids_sha256: str
    opening: int = 0
    bos: int | None = None

    def facts(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """What a step that draws windows by these options says of its text: the options, and the hashes of the text and of the ids.

        Where every window begins with a token of its own, also which that is.
        """
        begun = {"bos_token": self.bos} if convention_in(options) == WINDOW else {}
        return {**options, **begun, "text_sha256": self.text_sha256, "tokens_sha256": self.ids_sha256}

    def consecutive(self, length: int, count: int | None = None, bos: str = TEXT) -> list[Tensor]:
        """The first `count` windows (all, if None) without overlap, vectors of `length` ids; a shorter tail is the last window.

        `bos` is one of `beginnings.CONVENTIONS`: with `window` each begins with that token and goes on with `length` - 1 of the text.

        Raises TooShortError where the text does not fill one window, TokenizerError for windows that begin with a token there is not.
        """
        import torch

        text, first = self._cut(length, bos)
        windows = [torch.cat([first, part]) for part in text.long().split(length - len(first))]
        if len(windows[-1]) < 2:  # one token alone predicts nothing
            windows.pop()
        return windows[:count]

    def sample(self, length: int, count: int, seed: int, bos: str = TEXT) -> Tensor:
        """`count` windows at random places, (count, length), as SVD-LLM draws its calibration text; `bos` and errors as above."""
        return self.at(self.places(length, count, seed, bos), length, bos)

    def places(self, length: int, count: int, seed: int, bos: str = TEXT) -> Tensor:
        """Where those windows begin in the text as windows are cut from it, a vector of `count`."""
        import torch

        text, first = self._cut(length, bos)
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(len(text) - (length - len(first)) + 1, (count, 1), generator=generator)[:, 0]

    def at(self, places: Tensor, length: int, bos: str = TEXT) -> Tensor:
        """The windows that begin at these places, (count, length)."""
        import torch

        text, first = self._cut(length, bos)
        inside = text[places[:, None] + torch.arange(length - len(first))].long()
        return torch.cat([first.expand(len(places), -1), inside], dim=1)

    def room(self, length: int, bos: str = TEXT) -> tuple[int, int]:
        """How many tokens windows of `length` are cut from, and how many of these each window holds."""
        text, first = self._cut(length, bos)
        return len(text), length - len(first)

    def measured(self, length: int, count: int | None = None, bos: str = TEXT) -> Tensor:
        """The token ids of which `consecutive` cuts these windows, in one piece and without what only begins a text or a window."""
        text, first = self._cut(length, bos)
        held = text if count is None else text[: count * (length - len(first))]
        return held[self.opening if bos == TEXT else 0 :]

    def drawn(self, options: Mapping[str, Any]) -> Tensor:
        """The windows at random places that the options of a text ask for: `length`, `windows`, `seed` and `bos`."""
        return self.sample(options["length"], options["windows"], options["seed"], convention_in(options))

    def _cut(self, length: int, bos: str) -> tuple[Tensor, Tensor]:
        """The ids that windows of `length` are cut from, and those that stand before each, checked to fill one window together."""
        import torch

        if bos == WINDOW and self.bos is None:
            raise TokenizerError(
                f"corpus {self.corpus}, split {self.split}: `bos: {WINDOW}` puts the token that begins a text before every window, and "
                f"this model's tokenizer has no one such token; say `bos: {TEXT}`, or name it in its tokenizer_config.json (`bos_token`)"
            )
        text = {TEXT: self.ids, WINDOW: self.ids[self.opening :], NONE: self.ids[self.opening :]}[bos]
        first = torch.tensor([self.bos] if bos == WINDOW else [], dtype=torch.int64)
        if len(first) + len(text) < length:
            raise TooShortError(
                f"corpus {self.corpus}, split {self.split}: {len(first) + len(text)} tokens are fewer than one window of {length}; "
                "give it more text or ask for shorter windows (`length`)"
            )
        return text, first


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
    found, opening, bos = encode(tokenizer, text), opening_of(tokenizer), beginning_of(tokenizer)
    if rows is not None and (wrong := past_embedding(tokenizer, found, rows)):
        raise TokenizerError(f"corpus {name}, split {split}: {wrong}")
    if rows is not None and bos is not None and bos >= rows:  # one that stands before no text, and this model cannot read
        bos = None
    ids = torch.tensor(found, dtype=torch.int32)
    return Tokens(ids, name, split, text_hash(text), _ids_hash(ids), len(opening), bos)


def _ids_hash(ids: Tensor) -> str:
    import hashlib

    return hashlib.sha256(ids.numpy().tobytes()).hexdigest()


def write_tokens(path: str | Path, tokens: Tokens) -> None:
    """Write tokens as a safetensors file, whole or not at all."""
    from safetensors.torch import save_file

    facts = {key: value for key, value in vars(tokens).items() if key != "ids"}
    with replacing(path) as temporary:
        save_file({"ids": tokens.ids}, temporary, metadata={"tokens": json.dumps(facts)})  # of several keys the order would be random


def read_tokens(path: str | Path) -> Tokens:
    """The tokens in a file; raises ValueError where they do not have the hash they were written with, or do not tell what begins them."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["tokens"])
        if "opening" not in facts:  # by which windows without BOS would keep that of the text
            raise ValueError(
                f"{path} was written by an older drank, and does not tell which tokens begin the text; delete it and run again"
            )
        tokens = Tokens(file.get_tensor("ids"), **facts)
    if _ids_hash(tokens.ids) != tokens.ids_sha256:
        raise ValueError(f"{path} is damaged: its token ids have another hash than when it was written; delete it and run again")
    return tokens
