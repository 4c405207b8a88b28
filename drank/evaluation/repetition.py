"""How much of what a model writes it has written before, and the texts themselves.

A model of good perplexity may still go round in circles once it reads its own words; perplexity, which feeds it the text, does not tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from drank.statistics.intervals import mean_interval

if TYPE_CHECKING:
    from drank.evaluation.continuations import Continuations

GRAM = 4
"""Tokens in a row that count as repeated where they stood in a continuation before."""


def repeated(ids: Sequence[int]) -> tuple[int, int]:
    """How many of the runs of `GRAM` tokens stood in the ids before, and how many there are."""
    grams = [tuple(ids[start : start + GRAM]) for start in range(len(ids) - GRAM + 1)]
    return len(grams) - len(set(grams)), len(grams)


def told_of(found: Continuations, decode: Callable[[list[int]], str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The row `repeated_4grams`, with its interval over prompts, and of each prompt its text and what was written after it.

    There is no row where no continuation has so many tokens.
    """
    counts = [repeated(ids) for ids in found.written]
    texts = [
        {"prompt": decode(prompt), "text": decode(ids), "tokens": len(ids), "repeated": count}
        for prompt, ids, (count, _) in zip(found.prompts, found.written, counts, strict=True)
    ]
    again, grams = [count for count, all_ in counts if all_], [all_ for _, all_ in counts if all_]
    if not grams:
        return [], texts
    share = mean_interval(again, grams, (0.0, 1.0))
    return [{"metric": "repeated_4grams", "value": share.value, **share.ends, "count": sum(grams)}], texts
