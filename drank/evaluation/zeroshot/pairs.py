"""Prompts and answers as token ids, so that every answer has some and prompt and answer together spell what the task says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

Encode = Callable[[str], list[int]]

SHOWN = 5
"""How many faults of one task are told one by one."""


def pair_of(prompt: str, answer: str, encode: Encode, bare: Encode, prefix: int | None) -> tuple[list[int], list[int]]:
    """The ids of a prompt and those of the answer after it, as the harness makes them wherever that keeps both whole.

    `encode` puts opening special tokens before a text, `bare` none; `prefix` stands in for a prompt that is blank. Blanks at the end of a
    prompt begin the answer. Where one token would hold the end of the prompt and the start of the answer, each is encoded by itself: cut at
    the length of the prompt, as the harness cuts, the answer would lose its beginning, or all of it.
    """
    words = prompt.rstrip()
    answer = prompt[len(words) :] + answer
    if not words:
        ids = bare(answer)
        opening = [] if prefix is None else [prefix]
        return (opening, ids) if ids[:1] != opening else (ids[:1], ids[1:])
    before, whole = encode(words), encode(words + answer)
    if whole[: len(before)] == before and len(whole) > len(before):
        return before, whole[len(before) :]
    return before, _inside(answer, bare)


def _inside(text: str, bare: Encode) -> list[int]:
    """The ids of a text that goes on after another: some tokenizers put a blank before a text that begins."""
    line, both = bare("\n"), bare("\n" + text)
    return both[len(line) :] if line and both[: len(line)] == line and len(both) > len(line) else bare(text)


def pieces(answer: list[int], context: int) -> list[tuple[list[int], list[int]]]:
    """The answer's tokens as pieces a model can score one by one, each with what stands before it.

    By the chain rule the log-likelihoods of the pieces add up to the answer's. One piece where the answer fits the context, as in the
    harness, which stops at longer ones; else pieces of half a context, so that each token is read with that much before it.
    """
    size = max(1, len(answer) if len(answer) <= context else context // 2)
    return [(answer[:start], answer[start : start + size]) for start in range(0, max(1, len(answer)), size)]


def shortened(ids: list[int], most: int, opening: list[int]) -> list[int]:
    """The last `most` of these ids; of those that begin with an opening, the opening and the last of the others."""
    if len(ids) <= most:
        return ids
    kept = opening if ids[: len(opening)] == opening and len(opening) <= most else []
    return [*kept, *ids[len(ids) - most + len(kept) :]]


def faults(
    requests: Sequence[Instance], pairs: Sequence[tuple[list[int], list[int]]], past: Callable[[list[int]], str | None]
) -> list[str]:
    """Why pairs of ids cannot be scored, a line each; `past` says what is wrong with ids that the model has no embedding for."""
    found = []
    for request, (before, after) in zip(requests, pairs, strict=True):
        prompt, answer = request.args
        told = f"task {request.task_name}, item {request.doc_id}: the answer {answer!r:.60} after the prompt {_end(prompt)}"
        if not answer.strip() or not after:
            found.append(f"{told} is blank or has no token, so it cannot be compared with others; correct the item")
        elif not before:
            found.append(f"{told} has nothing before it, and the tokenizer no BOS or EOS to stand there; give the task a prompt")
        elif wrong := past([*before, *after]):
            found.append(f"{told}: {wrong}")
    return found if len(found) <= SHOWN else [*found[:SHOWN], f"… and {len(found) - SHOWN} more"]


def equal_choices(requests: Sequence[Instance]) -> int:
    """How many items offer one answer twice: of two equal ones the harness takes the first for the model's, right or wrong."""
    offered = Counter((request.doc_id, *request.args) for request in requests)
    return len({item for (item, *_), times in offered.items() if times > 1})


def _end(prompt: str) -> str:
    return repr(prompt if len(prompt) <= 60 else f"…{prompt[-60:]}")
