"""Paths that Snakemake cannot be told of: it takes what stands in braces for a wildcard, and nothing escapes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import yaml

from drank.evaluation.zeroshot import files_of
from drank.models.sources import local_files_of


def brace_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """A line for every file with a brace in its path that a step of a run would read."""
    for place, path in _watched(config):
        if set(path) & set("{}"):
            yield f"{place}: {path!r} has a brace in its path, which Snakemake takes for a wildcard; rename it, or name a link to it"


def _watched(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The local files of models, checkpoints, corpora and tasks, each with the place in the configuration that names it."""
    for name, source in config["models"].items():
        yield from ((f"models.{name}", path) for path in local_files_of(source))
        given = {**config["methods"], **source["methods"]}
        for label, options in given.items():
            if isinstance(options.get("checkpoint"), Mapping):
                yield from ((f"method {label}", path) for path in local_files_of(options["checkpoint"]))
    for name, source in config["corpora"].items():
        for split, paths in source.get("files", {}).items():
            yield from ((f"corpora.{name}.files.{split}", path) for path in ([paths] if isinstance(paths, str) else paths))
    for name, spec in config["tasks"].items():
        with suppress(OSError, ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError):  # the check of tasks has told
            yield from ((f"tasks.{name}", path) for path in files_of(spec))
