"""Measure the perplexity of a model with each group alone truncated, at nine kept ratios."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.allocation import sensitivity_search
from drank.corpora.windows import read_tokens
from drank.models.checkpoint import load_model
from drank.models.sources import Places, model_directory
from drank.models.weights import Checkpoint
from drank.runtime.device import prepare
from drank.runtime.files import write_json


def run(
    output: str | Path,
    *,
    source: str,
    places: Places,
    spectra: str,
    tokens: str,
    search: Mapping[str, Any],
    compute: Mapping[str, Any],
    threads: int,
) -> None:
    """Write the perplexities by group and kept ratio, and what they were measured on."""
    device = prepare(compute, threads)
    directory, text = model_directory(source, places), read_tokens(tokens)
    windows = text.drawn(search)
    model = load_model(directory, compute["dtype"], device)
    perplexity = sensitivity_search.search(model, Checkpoint(directory), spectra, windows, search["batch"])
    write_json(output, {"perplexity": perplexity, "facts": text.facts(search)})
