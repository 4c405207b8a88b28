"""What a call names on the hub, fetched before the work starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from drank.config.prefetch import FetchError, prefetch
from drank.runtime.telling import telling


def fetch(config: Mapping[str, Any]) -> None:
    """Fetch what a configuration, or a part of one, names on the hub; raises RuntimeError for what cannot be had."""
    models = {name: {"methods": {}, **source} for name, source in config["models"].items()}
    with telling("drank"), _explained(models):
        prefetch({"methods": {}, "corpora": {}, "tasks": {}, "zeroshot": {"tasks": []}, **config, "models": models})


@contextmanager
def _explained(models: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except FetchError as error:
        names = ", ".join(source["hub"] for source in models.values() if "hub" in source)
        raise FetchError(f"{error}" + (f"\nThere is no directory {names} here either" if names else ""), error.failures) from error
