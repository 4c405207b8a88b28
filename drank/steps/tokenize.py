"""Tokenise one split of a corpus with the tokenizer of one model."""

from __future__ import annotations

from pathlib import Path

from drank.corpora.windows import tokenize, write_tokens
from drank.models.checkpoint import load_tokenizer
from drank.models.sources import Places, model_directory
from drank.runtime.device import go_offline


def run(output: str | Path, *, corpus: str, source: str, places: Places, name: str, split: str, characters: int | None = None) -> None:
    """Write the tokens of the split of a corpus file, called `name`, by the tokenizer of the model that a source file describes.

    Raises TokenizerError where that model has no embedding for one of them.
    """
    go_offline()
    from transformers import AutoConfig

    directory = model_directory(source, places)
    rows = AutoConfig.from_pretrained(directory).get_text_config().vocab_size
    write_tokens(output, tokenize(load_tokenizer(directory), corpus, name, split, characters, rows))
