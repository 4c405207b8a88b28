"""How much of what a model writes it has written before, and the texts themselves.

A model of good perplexity may still go round in circles once it reads its own words; perplexity, which feeds it the text, does not tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from drank.statistics.proportions import proportion_of

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
    hits = [place < count for count, grams in counts for place in range(grams)]
    if not hits:
        return [], texts
    share = proportion_of(hits, [prompt for prompt, (_, grams) in enumerate(counts) for _ in range(grams)])
    ends = {} if math.isnan(share.low) else {"ci_low": share.low, "ci_high": share.high}
    return [{"metric": "repeated_4grams", "value": share.value, **ends, "count": share.items}], texts
