"""Choose the mix of importance and loss at one ratio: the one that leaves the lowest perplexity on validation text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.allocation.read_evidence import read_evidence
from drank.allocation.selection import best_mix, plans_by_mix
from drank.corpora.windows import read_tokens
from drank.evaluation.plan_trials import try_plans
from drank.models.checkpoint import load_model
from drank.models.sources import Places, model_directory
from drank.models.weights import Checkpoint
from drank.runtime.device import prepare
from drank.runtime.files import write_json


def run(
    output: str | Path,
    *,
    names: Mapping[str, str],
    source: str,
    places: Places,
    tokens: str,
    evidence: Mapping[str, str],
    settings: Mapping[str, Any],
    search: Mapping[str, Any],
    compute: Mapping[str, Any],
    threads: int,
) -> None:
    """Write the chosen mix, the perplexity of each that was tried, and the text; `names` gives model, method and ratio."""
    device = prepare(compute, threads)
    directory, text = model_directory(source, places), read_tokens(tokens)
    windows = text.drawn(search)
    model = load_model(directory, compute["dtype"], device)
    plans = plans_by_mix(read_evidence(**evidence), float(names["ratio"]), settings, model=names["model"], method=names["method"])
    perplexity = try_plans(model, Checkpoint(directory), evidence["spectra"], plans, windows, search["batch"])
    write_json(output, {"mix": best_mix(perplexity), "perplexity": perplexity, "facts": text.facts(search)})
