"""Text that making a model reads: which it is, and where a configuration measures the model on it without saying so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from drank.config.artefacts import Runs
from drank.config.chain import texts_of
from drank.config.measurable import split_of
from drank.methods import Method
from drank.reporting.names import unique


def texts_read(config: Mapping[str, Any], method: Method, ratio: float) -> dict[str, tuple[str, str]]:
    """Corpus and split of every text that making a model reads, by the section that tells of it: `calibration`, `search`, `finetune`."""
    works, texts = method.at(ratio), texts_of(config, method)
    reads = {"calibration": works.reads_calibration, "search": works.searches, "finetune": works.finetunes(ratio)}
    named = {part: texts[part] for part, needed in reads.items() if needed and works.compresses}
    return {part: (text["corpus"], text["split"]) for part, text in named.items() if {"corpus", "split"} <= text.keys()}


def seen_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """A line for every split that a method reads and is measured on, unless `perplexity: seen` says that this is meant.

    Nothing of a configuration of which other checks tell that its runs cannot be made.
    """
    if config["perplexity"]["seen"]:
        return
    readers: dict[tuple[str, str, str], list[str]] = {}
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        runs = Runs(config)
        for (model, label, ratio), mine in runs.wanted.items():
            measured = {split_of(config, name) for name in mine["perplexity"]}
            for part, text in texts_read(config, runs.methods[model][label], float(ratio)).items():
                if text in measured:
                    readers.setdefault((part, *text), []).append(label)
    for (part, corpus, split), labels in readers.items():
        yield (
            f"{part}: {', '.join(unique(labels))} read corpus {corpus!r}, split {split!r}, and would be measured on it, where what they "
            "keep looks better than it is; measure another split, or say that this is meant: `perplexity: {seen: true}`"
        )
