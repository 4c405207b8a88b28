"""Fetch what a configuration names on the hubs into the local cache; the only step that uses a network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from drank import corpora
from drank.evaluation.zeroshot import fetch_task
from drank.models.licence import LICENCE_FILES
from drank.models.sources import MODEL_SUFFIXES

log = logging.getLogger(__name__)

WANTED = [*(f"*{suffix}" for suffix in MODEL_SUFFIXES), *LICENCE_FILES]


class FetchError(RuntimeError):
    """What a configuration names on the hubs cannot be had."""


def prefetch(config: Mapping[str, Any]) -> None:
    """Fetch every hub model, data set and harness task of a configuration; raises FetchError listing all that could not be had."""
    failures = [f"{what}: {type(error).__name__}: {error}" for what, error in _attempts(config) if error is not None]
    if failures:
        raise FetchError(
            "could not fetch everything (is there a network? does the model ask for a licence and HF_TOKEN?):\n  - "
            + "\n  - ".join(failures)
        )


def _attempts(config: Mapping[str, Any]) -> Iterator[tuple[str, Exception | None]]:
    from huggingface_hub import snapshot_download

    jobs: list[tuple[str, Callable[[], object]]] = []
    wanted = {f"model {name}": source for name, source in config["models"].items()} | _checkpoints(config)
    for what, source in wanted.items():
        if "hub" in source:
            jobs.append((what, partial(snapshot_download, source["hub"], revision=source.get("revision"), allow_patterns=WANTED)))
    jobs += [(f"corpus {name}", partial(corpora.read, source)) for name, source in config["corpora"].items() if "hub" in source]
    tasks = {name: config["tasks"][name] for name in config["zeroshot"]["tasks"]}
    jobs += [(f"task {name}", partial(fetch_task, task)) for name, task in tasks.items() if "embedded" not in task and "data" not in task]
    for what, fetch in jobs:
        log.info("fetching %s", what)
        try:
            fetch()
        except (OSError, ValueError, RuntimeError) as error:
            yield what, error
        else:
            yield what, None


def _checkpoints(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Everything that a method gives as somebody else's checkpoint, for all models or for one, by what a message calls it."""
    given = {f"checkpoint {label}": options for label, options in config["methods"].items()}
    for model, source in config["models"].items():
        given |= {f"checkpoint {label} of model {model}": options for label, options in source["methods"].items()}
    return {what: options["checkpoint"] for what, options in given.items() if "checkpoint" in options}
