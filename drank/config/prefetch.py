"""Fetch what a configuration names on the hubs into the local cache; the only step that uses a network."""

from __future__ import annotations

import http.client
import logging
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from drank import corpora
from drank.evaluation.zeroshot import expanded, fetch_task, needs_hub
from drank.models.licence import LICENCE_FILES, POLICY_FILES
from drank.models.sources import MODEL_SUFFIXES
from drank.models.tensors import AGAIN, weight_files
from drank.runtime.device import go_offline
from drank.runtime.snapshots import snapshot

log = logging.getLogger(__name__)

WANTED = [*(f"*{suffix}" for suffix in MODEL_SUFFIXES), *LICENCE_FILES, *POLICY_FILES]


class FetchError(RuntimeError):
    """What a configuration names on the hubs cannot be had; `failures` gives the reason by what it is."""

    def __init__(self, message: str, failures: Mapping[str, str]) -> None:
        super().__init__(message)
        self.failures = dict(failures)


def prefetch_alone(config: Mapping[str, Any]) -> None:
    """What `prefetch` does, in a process that does nothing else: without a network the cache is looked at, and nothing waited for.

    Raises FetchError naming what neither the hub nor the cache has.
    """
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    reason = _unreachable(endpoint)
    if reason is None:
        prefetch(config)
        return
    go_offline()
    try:
        prefetch(config)
    except FetchError as error:
        raise FetchError(
            f"no network: {endpoint} cannot be reached from here ({reason}), and the local cache lacks {', '.join(error.failures)}; run "
            "`prefetch` where there is a network, such as a cluster's login node, or set HF_HOME to a cache that has them",
            error.failures,
        ) from None


def prefetch(config: Mapping[str, Any]) -> None:
    """Fetch every hub model, data set and harness task of a configuration; raises FetchError listing all that could not be had."""
    failures = {what: f"{type(error).__name__}: {_short(error)}" for what, error in _attempts(config) if error is not None}
    if failures:
        raise FetchError(
            "could not fetch everything (is there a network? does the model ask for a licence and HF_TOKEN?):\n  - "
            + "\n  - ".join(f"{what}: {why}" for what, why in failures.items()),
            failures,
        )


def _short(error: Exception) -> str:
    """An error in one line that can be read."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]} …"


def _unreachable(endpoint: str, seconds: float = 10.0) -> str | None:
    """Why nothing answers at an address, None where something does, whatever it says."""
    try:
        urllib.request.urlopen(endpoint, timeout=seconds).close()
    except urllib.error.HTTPError:
        return None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return None if isinstance(reason, ssl.SSLError) else _short(reason if isinstance(reason, Exception) else error)
    except ValueError as error:
        return _short(error)
    return None


def _attempts(config: Mapping[str, Any]) -> Iterator[tuple[str, Exception | None]]:
    jobs: list[tuple[str, Callable[[], object]]] = []
    wanted = {f"model {name}": source for name, source in config["models"].items()} | _checkpoints(config)
    for what, source in wanted.items():
        if "hub" in source:
            patterns: dict[str, Any] = {"allow_patterns": WANTED, "ignore_patterns": [AGAIN]}
            jobs.append((what, partial(snapshot, source["hub"], weight_files, revision=source.get("revision"), **patterns)))
    jobs += [(f"corpus {name}", partial(corpora.read, source)) for name, source in config["corpora"].items() if "hub" in source]
    tasks = expanded({name: config["tasks"][name] for name in config["zeroshot"]["tasks"]}).tasks
    jobs += [(f"task {name}", partial(fetch_task, task)) for name, task in tasks.items() if needs_hub(task)]
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
