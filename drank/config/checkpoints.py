"""What is wrong with the checkpoints of somebody else that a configuration measures beside its models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drank.config.resolved import entries_for
from drank.models.families import context_of
from drank.models.sources import SourceError, directory_of
from drank.models.theirs import faults_of, place_of, rounds
from drank.runtime.files import read_json


def checkpoint_problems(config: Mapping[str, Any], model: str) -> Iterator[str]:
    """A line for everything that forbids measuring a checkpoint beside one model; what has to come from a hub first is not looked at."""
    for label, options in entries_for(config, model).items():
        if "checkpoint" in options and not rounds(options["checkpoint"]):
            problems = [*faults_of(options["checkpoint"], config["models"][model]), *_too_long(config, options["checkpoint"])]
            yield from (f"method {label}: checkpoint {place_of(options['checkpoint'])}: {problem}" for problem in problems)


def unreadable(config: Mapping[str, Any], written: Mapping[str, Any], model: str) -> set[str]:
    """The labels that have lost their checkpoint, or their plan, since that breaks the schema, which says so itself."""
    written_in = written["methods"], written["models"][model].get("methods")
    said = [(label, entry) for entries in written_in if isinstance(entries, Mapping) for label, entry in entries.items()]
    left = entries_for(config, model)
    lost = [(label, key) for label, entry in said if isinstance(entry, Mapping) for key in ("checkpoint", "plan") if key in entry]
    return {label for label, key in lost if key not in left.get(label, {key})}


def _too_long(config: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> Iterator[str]:
    """What is measured on more tokens at once than the checkpoint's own context, as far as that is known."""
    try:
        context = context_of(read_json(Path(directory_of(checkpoint)) / "config.json"))
    except (SourceError, OSError, ValueError, TypeError, AttributeError):
        return
    timed = config.get("throughput")
    lengths = {"perplexity.length": config["perplexity"]["length"]} if config["perplexity"]["corpora"] else {}
    lengths |= {"throughput.prompt + generate": timed["prompt"] + timed["generate"]} if timed else {}
    for place, length in lengths.items():
        if context and length > context:
            yield f"{place} is {length}, past its context of {context} tokens; lower {place}, or leave this checkpoint out"
