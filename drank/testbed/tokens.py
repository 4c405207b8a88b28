"""The tokenizer of the embedded models, and their training text as one stream of token ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from drank.corpora.embedded import JOIN
from drank.testbed.ngrams import Ids

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_OF_TEXT = "<|endoftext|>"


VOCABULARY = 3072


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """A byte-level BPE tokenizer of VOCABULARY entries that splits digits and loses no character."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def token_stream(tokenizer: Tokenizer, texts: list[str]) -> Ids:
    """The documents as one stream of token ids, JOIN and END_OF_TEXT taking turns between them."""
    end = [tokenizer.token_to_id(END_OF_TEXT)]
    join = tokenizer.encode(JOIN).ids
    pieces = []
    for index, encoding in enumerate(tokenizer.encode_batch(texts)):
        pieces += [encoding.ids, end if index % 2 else join]
    return np.concatenate([np.asarray(piece, dtype=np.int64) for piece in pieces])
