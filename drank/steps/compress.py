"""Compress a model by a plan, refit, correct and fine-tune it where its method does, and save it as a Hugging Face model directory."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.allocation.plan import Plan
from drank.compression.correction import begun, correct, leaving_states
from drank.compression.factors import factors_of
from drank.compression.finetune import finetune
from drank.compression.making import Making
from drank.compression.refit import refit
from drank.compression.refits import TOLD
from drank.corpora.windows import read_tokens
from drank.models.checkpoint import load_model, load_tokenizer, save
from drank.models.conversion import convert, store
from drank.models.residency import open_skeleton
from drank.models.sources import Places, base_of, model_directory
from drank.models.weights import Checkpoint
from drank.runtime.device import prepare
from drank.runtime.files import file_hash
from drank.runtime.heap import keep_freed
from drank.runtime.working import working
from drank.spectra.spectrum import read_scales, version_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)


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
    code: str,
) -> PreTrainedModel:
    """The compressed model, which is also written as a directory.

    `tokens` and `calibration` are the text of refits and corrections, `finetune_tokens` and `training` that of fine-tuning with its
    settings; each pair is None where the plan's method does no such thing. Corrections work in a folder beside the output and go on there
    where an interrupted call with the same arguments, inputs and `code` stopped.
    """
    device = prepare(compute, threads)
    keep_freed()
    directory, ranks = model_directory(source, places), Plan.read(plan)
    making, tokenizer = Making(ranks, device, threads, base_of(source, directory)), load_tokenizer(directory)
    texts = {"tokens": tokens, "calibration": calibration, "finetune_tokens": finetune_tokens, "training": training}

    def make(place: Path, work: Path) -> PreTrainedModel:
        model = _made(directory, ranks, spectra, texts, making, work, compute["dtype"], device)
        store(model, ranks.groups, read_scales(spectra))
        save(model, tokenizer, ranks.groups, place, documents=making.documents)
        return model

    if not ranks.settings["corrections"]:
        return make(Path(output), Path(output))
    read = [file_hash(path) for path in (source, plan, tokens) if path]
    with working(output, [read, version_of(spectra), calibration, {**compute, "device": device}, code]) as (work, result):
        model = make(result, work)
    model.name_or_path = str(Path(output).resolve())
    return model


def _made(
    directory: Path, plan: Plan, spectra: str, texts: Mapping[str, Any], making: Making, work: Path, dtype: str, device: str
) -> PreTrainedModel:
    """The model with the factors of a plan, refitted, corrected (in the folder `work`) and trained as its method says."""
    settings, checkpoint = plan.settings, Checkpoint(directory)
    model, calibration, training = load_model(directory, dtype, device), texts["calibration"], texts["training"]
    with making.stage("factors"):
        convert(model, plan.groups, factors_of(checkpoint, plan, spectra))
    if texts["tokens"] is not None and calibration is not None:
        text = read_tokens(texts["tokens"])
        windows, batch, reference = text.drawn(calibration), calibration["batch"], None
        if settings["refit_from"] is not None:
            refitted = settings["corrections"] and begun(work)
            with making.stage("refit", text.facts(calibration), timed=not refitted):
                if refitted:
                    log.info("refitted before the interruption")
                elif settings["refit"] in TOLD:
                    dense = open_skeleton(directory, dtype, device)
                    reference = TOLD[settings["refit"]](model, dense, plan, spectra, windows, batch, settings["compensation"])
                    del dense
                else:
                    refit(model, checkpoint, windows, batch, settings["refit"])
        if settings["corrections"]:
            with making.stage("corrections", text.facts(calibration)):
                reference = reference or leaving_states(open_skeleton(directory, dtype, device), windows, batch)
                correct(model, reference, windows, settings["corrections"], batch, work)
        del reference  # states of the whole text
    if texts["finetune_tokens"] is not None and training is not None:
        text = read_tokens(texts["finetune_tokens"])
        windows = text.drawn(training)
        with making.stage("finetune", text.facts(training)):
            model = finetune(model, windows, training)
    return model
