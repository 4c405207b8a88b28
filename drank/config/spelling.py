"""Paths that a run cannot be told of: Snakemake takes what stands in braces for a wildcard, and nobody can write what is no Unicode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from drank.config.resolved import entries_for
from drank.evaluation.zeroshot import files_of
from drank.methods.method import RATIO
from drank.models.sources import local_files_of


def spelling_problems(config: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """A line for every file with a brace in its path that a step of a run would read, and for what is no Unicode, the run's folder too."""
    if not _writable(str(folder)):
        yield f"the run's folder {str(folder)!a} has bytes in its path that are no UTF-8, which no log can hold; rename it"
    for place, path in _watched(config):
        if set(path) & set("{}"):
            yield f"{place}: {path!r} has a brace in its path, which Snakemake takes for a wildcard; rename it, or name a link to it"
        if not _writable(path):
            yield f"{place}: {path!a} has bytes in its path that are no UTF-8, which no log can hold; rename it, or name a link to it"


def _writable(path: str) -> bool:
    """Whether a path can be written down; Python has a surrogate for every byte that is no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in path)


def _watched(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The local files of models, checkpoints, corpora and tasks, each with the place in the configuration that names it."""
    for name, source in config["models"].items():
        yield from ((f"models.{name}", path) for path in local_files_of(source))
        for label, options in entries_for(config, name).items():
            if isinstance(options.get("checkpoint"), Mapping):
                yield from ((f"method {label}", path) for path in local_files_of(options["checkpoint"]))
            if plan := options.get("plan"):
                yield f"method {label}", plan.replace(RATIO, "")
    for name, source in config["corpora"].items():
        for split, paths in source.get("files", {}).items():
            yield from ((f"corpora.{name}.files.{split}", path) for path in ([paths] if isinstance(paths, str) else paths))
    for name, spec in config["tasks"].items():
        with suppress(OSError, ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError):  # the check of tasks has told
            yield from ((f"tasks.{name}", path) for path in files_of(spec))
