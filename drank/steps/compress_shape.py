"""Compress a shape by a plan: factors of its ranks, drawn at random as its weights are, of which nothing is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.allocation.plan import Plan
from drank.compression.making import Making
from drank.models.conversion import skeleton
from drank.models.description import describe
from drank.models.random_weights import empty_model, write_random
from drank.models.sources import Places, base_of, model_directory
from drank.runtime.files import replacing


def run(output: str | Path, *, source: str, places: Places, plan: str, compute: Mapping[str, Any], threads: int) -> None:
    """Write the compressed model as a directory with plan and making, without a card: there is nothing to publish.

    Weights are written as they are drawn, so that a model of any size takes the memory of one file of them.
    """
    import torch
    from transformers import AutoConfig

    ranks = Plan.read(plan)
    directory = model_directory(source, places)
    making = Making(ranks, "cpu", threads, base_of(source, directory))
    model = empty_model(AutoConfig.from_pretrained(directory), getattr(torch, compute["dtype"]))
    skeleton(model, ranks.groups)
    model.config.quantization_config = describe(ranks.groups)
    with replacing(output) as folder:
        folder.mkdir()
        with making.stage("factors"):
            write_random(model, folder)
        for name, text in making.facts().items():
            (folder / name).write_text(text, "utf-8")
