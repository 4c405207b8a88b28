"""Run the dense model on a text on which others are measured, and keep what its predictions are made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.corpora.beginnings import convention_in
from drank.corpora.windows import read_tokens
from drank.evaluation.reference import store_reference
from drank.models.checkpoint import load_model
from drank.models.sources import Places, model_directory
from drank.runtime.device import prepare
from drank.runtime.files import read_json


def run(
    output: str | Path, *, source: str, places: Places, tokens: str, perplexity: Mapping[str, Any], compute: Mapping[str, Any], threads: int
) -> None:
    """Write a folder that `Reference` reads, of the windows that `length`, `windows`, `batch` and `bos` cut of a text.

    Raises NonFiniteError where the hidden states of the dense model are not finite.
    """
    device, text = prepare(compute, threads), read_tokens(tokens)
    cut = {**{name: perplexity[name] for name in ("length", "windows", "batch")}, "bos": convention_in(perplexity)}
    windows = text.consecutive(cut["length"], cut["windows"], cut["bos"])
    facts = {"read": text.facts(cut), "model": read_json(source)["files"]}
    store_reference(load_model(model_directory(source, places), compute["dtype"], device), windows, output, facts, cut["batch"])
