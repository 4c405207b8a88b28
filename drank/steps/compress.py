"""Compress a model by a plan, refit, correct and fine-tune it where its method does, and save it as a Hugging Face model directory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.allocation.plan import Plan
from drank.compression.compensation import compensate
from drank.compression.correction import correct
from drank.compression.factors import factors_of
from drank.compression.finetune import finetune
from drank.compression.making import Making
from drank.compression.refit import refit
from drank.corpora.windows import read_tokens
from drank.models.checkpoint import load_model, load_tokenizer, save
from drank.models.conversion import convert, store
from drank.models.residency import open_skeleton
from drank.models.sources import Places, model_directory
from drank.models.weights import Checkpoint
from drank.runtime.device import prepare
from drank.runtime.files import file_hash, read_json, resuming
from drank.spectra.spectrum import read_scales

if TYPE_CHECKING:
    from transformers import PreTrainedModel


WORK = "corrections"
"""What the folder in which a model is corrected is called; the model takes its place."""


def run(
    output: str | Path,
    *,
    source: str,
    places: Places,
    plan: str,
    spectra: str,
    tokens: str | None = None,
    finetune_tokens: str | None = None,
    calibration: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    compute: Mapping[str, Any],
    threads: int,
    code: str = "",
) -> PreTrainedModel:
    """The compressed model, which is also written as a directory.

    `tokens` and `calibration` are the text of refits and corrections, `finetune_tokens` and `training` that of fine-tuning with its
    settings; each pair is None where the plan's method does no such thing. Corrections work in a folder beside the output and go on there
    where an interrupted call with the same arguments, inputs and `code` stopped.
    """
    device = prepare(compute, threads)
    directory, dtype = model_directory(source, places), compute["dtype"]
    ranks, checkpoint = Plan.read(plan), Checkpoint(directory)
    settings, making = ranks.settings, Making(ranks, device, threads, read_json(source))
    read = {name: file_hash(path) for name, path in (("source", source), ("plan", plan), ("tokens", tokens)) if path}
    same = {**read, "spectra": file_hash(f"{spectra}/summary.json"), "calibration": calibration, "compute": compute, "code": code}
    with resuming(output, same) if settings["corrections"] else nullcontext(Path(output)) as place:
        tokenizer, model = load_tokenizer(directory), load_model(directory, dtype, device)
        with making.stage("factors"):
            convert(model, ranks.groups, factors_of(checkpoint, ranks, spectra))
        if tokens is not None and calibration is not None:
            text = read_tokens(tokens)
            windows, batch = text.sample(calibration["length"], calibration["windows"], calibration["seed"]), calibration["batch"]
            if settings["refit_from"] is not None:
                with making.stage("refit", text.facts(calibration)):
                    if settings["refit"] == "compensated":
                        dense = open_skeleton(directory, dtype, device)
                        compensate(model, dense, ranks, spectra, windows, batch, settings["compensation"])
                        del dense  # corrections open one of their own
                    else:
                        refit(model, checkpoint, windows, batch, settings["refit"])
            if settings["corrections"]:
                with making.stage("corrections", text.facts(calibration)):
                    correct(model, open_skeleton(directory, dtype, device), windows, settings["corrections"], batch, place / WORK)
        if finetune_tokens is not None and training is not None:
            text = read_tokens(finetune_tokens)
            windows = text.sample(training["length"], training["windows"], training["seed"])
            with making.stage("finetune", text.facts(training)):
                model = finetune(model, windows, training)
        store(model, ranks.groups, read_scales(spectra))
        save(model, tokenizer, ranks.groups, place, documents=making.documents)
    model.name_or_path = str(Path(output).resolve())
    return model
