"""Round the dense model to a few bits a weight, as a user would who wants it smaller, and save it as a Hugging Face model directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.models.checkpoint import load_model, load_tokenizer, save
from drank.models.documents import ROUNDING
from drank.models.rounding import how, require, round_projections
from drank.models.sources import Places, model_directory
from drank.runtime.device import prepare
from drank.runtime.files import read_json


def run(
    output: str | Path,
    *,
    name: str,
    source: str,
    places: Places,
    rounding: Mapping[str, int],
    compute: Mapping[str, Any],
    threads: int,
) -> None:
    """Write the dense model that a source file describes, rounded to `bits` in blocks of `block` weights, called `name`.

    What is not rounded is in the precision of the run. Raises ImportError where the library that rounds is not installed.
    """
    require()
    device = prepare(compute, threads)
    directory = model_directory(source, places)
    tokenizer, model = load_tokenizer(directory), load_model(directory, compute["dtype"], device)
    told = {"name": name, "source": how(model, **rounding), "of": read_json(source)}
    describe = round_projections(model, **rounding)

    def documents(folder: Path) -> dict[str, str]:
        describe(str(folder))
        return {ROUNDING: json.dumps(told, indent=1, sort_keys=True) + "\n"}

    save(model, tokenizer, None, output, documents=documents)
