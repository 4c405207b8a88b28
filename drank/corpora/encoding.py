"""Text as token ids, with the special tokens that a tokenizer puts before a text and none of those that it puts behind one.

Some tokenizers end every text (`</s>`, `[SEP]`). Between a prompt and its answer, or where a window is cut, no text ends; what stands there
would be predicted, and read, in place of words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from drank.corpora.beginnings import NONE, WINDOW

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PROBE = "a text"


class TokenizerError(ValueError):
    """A tokenizer that does not fit its model, or whose special tokens stand elsewhere than around a text."""


def bare(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The ids of a text, of any length, without special tokens."""
    return _ids(tokenizer, text, add_special_tokens=False)


def _ids(tokenizer: PreTrainedTokenizerBase, text: str, **options: bool) -> list[int]:
    try:
        ids: list[int] = tokenizer(text, verbose=False, **options)["input_ids"]
    except Exception as error:  # tokenizers raises no other kind where its files do not fit each other
        raise TokenizerError(
            f"the tokenizer of {tokenizer.name_or_path} cannot encode {text[:40]!r} ({type(error).__name__}: {error}); "
            "give the model the tokenizer.json and tokenizer_config.json that it was trained with"
        ) from error
    return ids


def opening_of(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The ids of the special tokens that a tokenizer puts before every text, often that of BOS alone.

    Raises TokenizerError where a text with special tokens does not hold the text without them.
    """
    whole = _ids(tokenizer, _PROBE)
    inner = bare(tokenizer, _PROBE)
    places = [start for start in range(len(whole) - len(inner) + 1) if whole[start : start + len(inner)] == inner]
    if not inner or not places:
        raise TokenizerError(
            f"the tokenizer of {tokenizer.name_or_path} makes {whole} of {_PROBE!r}, and {inner} without special tokens, so which of them "
            "stand before a text cannot be told; give the model a tokenizer whose special tokens stand around a text"
        )
    return whole[: places[0]]


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The ids of a text after the special tokens that open one; raises TokenizerError as `opening_of` does."""
    return [*opening_of(tokenizer), *bare(tokenizer, text)]


def beginning_of(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The one token that begins a text: what the tokenizer puts before every text, else the BOS that it names.

    None where it puts several there, or none and names no BOS. Raises TokenizerError as `opening_of` does.
    """
    opening = opening_of(tokenizer)
    named: int | None = tokenizer.bos_token_id
    return named if not opening else opening[0] if len(opening) == 1 else None


def prompt_opening(tokenizer: PreTrainedTokenizerBase, convention: str) -> list[int]:
    """The ids that begin every prompt by one of `beginnings.CONVENTIONS`: with `window` BOS also where the tokenizer by itself puts none.

    Raises TokenizerError where it has none to put there, and as `opening_of` does.
    """
    opening = [] if convention == NONE else opening_of(tokenizer)
    if opening or convention != WINDOW:
        return opening
    if tokenizer.bos_token_id is None:
        raise TokenizerError(
            f"the tokenizer of {tokenizer.name_or_path} has no token that begins a text, and `bos: {WINDOW}` puts one before every prompt; "
            "name it in its tokenizer_config.json (`bos_token`)"
        )
    return [tokenizer.bos_token_id]


def past_embedding(tokenizer: PreTrainedTokenizerBase, ids: Iterable[int], rows: int) -> str | None:
    """What is wrong with ids that a model with so many rows of embedding has to read; None where it has a row for each."""
    past = {number for number in ids if number >= rows}
    if not past:
        return None
    number = min(past)
    return (
        f"token {tokenizer.convert_ids_to_tokens(number)!r} has the number {number}, and the model's embedding has {rows} rows, from 0 on "
        f"(the tokenizer of {tokenizer.name_or_path} knows {len(tokenizer)} tokens; {len(past)} of those in this text have no row); "
        "give the model the tokenizer that it was trained with, or resize its embedding"
    )
