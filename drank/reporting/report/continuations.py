"""What each model writes after the same words, beside the dense model's: three continuations of each, to be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from drank.reporting.names import method_name
from drank.reporting.records import Record
from drank.reporting.tables.numbers import Entry, Numbers

SHOWN = 3
"""Continuations of each model on the page; a record has them all."""


class Written(NamedTuple):
    """The continuations of one text at one ratio: the prompts, and by method what it wrote after each."""

    model: str
    ratio: float
    corpus: str
    prompts: list[str]
    rows: list[tuple[str, list[str]]]


def continuations(models: Sequence[Numbers], records: Sequence[Record]) -> list[Written]:
    """For every model and ratio the first `SHOWN` continuations on its first text that has some, the dense model's on top."""
    details = {(one.model, Entry(one.method, one.ratio)): one.detail for one in records if one.kind == "perplexity"}
    return [written for numbers in models for written in _of_model(numbers, details)]


def _of_model(numbers: Numbers, details: Mapping[tuple[str, Entry], Mapping[str, Any]]) -> Iterator[Written]:
    for corpus in numbers.datasets("perplexity"):
        found = {entry: details.get((numbers.model, entry), {}).get(corpus, {}).get("continuations") for entry in numbers.entries}
        told = {entry: texts[:SHOWN] for entry, texts in found.items() if texts}
        if told:
            yield from _of_text(numbers, corpus, told)
            return


def _of_text(numbers: Numbers, corpus: str, told: Mapping[Entry, Sequence[Mapping[str, Any]]]) -> Iterator[Written]:
    """One for each ratio, with the methods that went on from the same prompts as the first."""
    order = sorted(told, key=lambda entry: entry != numbers.dense)
    prompts = [one["prompt"] for one in told[order[0]]]
    alike = {entry: [one["text"] for one in told[entry]] for entry in order if [one["prompt"] for one in told[entry]] == prompts}
    for ratio in sorted({entry.ratio for entry in alike if entry != numbers.dense} or {0.0}):
        rows = [(method_name(entry.method), texts) for entry, texts in alike.items() if entry.ratio == ratio or entry == numbers.dense]
        yield Written(numbers.model, ratio, corpus, prompts, rows)
