"""Models of every family compressed by every method, and what is measured for them once: the fixtures of `test_methods.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from drank.allocation.allocate import allocate
from drank.allocation.evidence import Evidence
from drank.allocation.plan import Plan
from drank.allocation.selection import best_mix, plans_by_mix
from drank.allocation.sensitivity_search import search
from drank.calibration.gradients import collect
from drank.calibration.moments import calibrate, read_similarities
from drank.compression.correction import correct, leaving_states
from drank.compression.factors import factors_of
from drank.compression.refit import refit
from drank.compression.refits import TOLD
from drank.evaluation.plan_trials import try_plans
from drank.methods import Method
from drank.models.checkpoint import load_model, save
from drank.models.conversion import convert, store
from drank.models.families import family_of, kind_of
from drank.models.weights import Checkpoint
from drank.spectra.slopes import slopes_of
from drank.spectra.spectrum import decompose_model, read_energies, read_scales, read_summary
from drank.spectra.weightings import WEIGHTINGS

Compress = Callable[..., tuple[PreTrainedModel, Plan]]


def dense_directory(tiny_model, tiny_tokenizer, tmp_path_factory) -> Callable[[str], Path]:
    """The saved dense model of a family, deep enough for groups of two with one left over."""

    @cache
    def build(family: str) -> Path:
        directory = tmp_path_factory.mktemp(family) / "dense"
        save(tiny_model(family, num_hidden_layers=5, tie_word_embeddings=True), tiny_tokenizer, None, directory)
        return directory

    return build


def measured(dense_directory, windows) -> Callable[..., Any]:
    """What is measured of a family once for all methods, by folder: `moments`, `spectra` of a method, `gradients` for its labels."""

    @cache
    def folder(family: str, kind: str, labels: str | None = None, outputs: bool = False) -> Path:
        directory, model = dense_directory(family).parent / f"{kind}-{labels}-{outputs}", load_model(dense_directory(family))
        if labels is None:
            calibrate(model, windows, directory, {}, batch=4)
        else:
            collect(model, windows, directory, {}, batch=4, labels=labels, outputs=outputs)
        return directory

    @cache
    def spectra(family: str, name: str, weighting: str, options: tuple[tuple[str, float], ...], group: int, labels: str | None) -> Path:
        directory = dense_directory(family).parent / name
        outputs = WEIGHTINGS[weighting].reads_outputs
        sources = {"moments": folder(family, "moments"), "gradients": folder(family, "gradients", labels, outputs) if labels else None}
        checkpoint = Checkpoint(dense_directory(family))
        decompose_model(checkpoint, directory, **sources, weighting=weighting, options=dict(options), group=group, facts={"model": family})
        return directory

    def read(family: str, kind: str, method: Method | None = None) -> Path:
        if method is None or kind == "gradients":
            return folder(family, kind, method.labels, method.reads_outputs(method.labels)) if method else folder(family, kind)
        options = tuple(method.weighting_options.items())
        labels = method.weighing_pass if method.weighs_gradients else None
        return spectra(family, method.spectrum, method.weighting, options, method.group, labels)

    return read


def evidence(dense_directory, measured, windows) -> Callable[[str, Method], Evidence]:
    """What the allocator of a method reads."""

    def build(family: str, method: Method) -> Evidence:
        directory, checkpoint = measured(family, "spectra", method), Checkpoint(dense_directory(family))
        found = Evidence(tuple(read_summary(directory)[0]), read_energies(directory))
        if "slopes" in method.needs:
            found = replace(found, slopes=slopes_of(checkpoint, directory, measured(family, "gradients", method)))
        if "similarities" in method.needs:
            found = replace(found, similarities=read_similarities(measured(family, "moments")))
        if "sensitivity" in method.needs:
            found = replace(found, sensitivity=search(load_model(dense_directory(family)), checkpoint, directory, windows[:2]))
        return found

    return build


def compress(dense_directory, measured, evidence, windows) -> Compress:
    """A family's model compressed by a method at a ratio, refitted where the method says so, and its plan."""

    def build(family: str, method: Method, ratio: float) -> tuple[PreTrainedModel, Plan]:
        directory, path = dense_directory(family), measured(family, "spectra", method)
        model, checkpoint = load_model(directory), Checkpoint(directory)
        found, settings = evidence(family, method), method.settings()
        if method.chooses:
            plans = plans_by_mix(found, ratio, settings, model=family, method="swift-svd")
            perplexities = try_plans(model, checkpoint, path, plans, windows[:2])
            settings["mix"] = best_mix(perplexities)
        plan = allocate(found, ratio, settings, model=family, method=method.title)
        convert(model, plan.groups, factors_of(checkpoint, plan, path))
        if method.compensates(ratio):
            TOLD[method.refit](model, load_model(directory), plan, path, windows, 4, method.compensation)
        elif method.refits(ratio):
            refit(model, checkpoint, windows, batch=4, order=method.refit)
        if method.corrections:
            correct(model, leaving_states(load_model(directory), windows, 4), windows, method.corrections, batch=4)
        store(model, plan.groups, read_scales(path))
        return model, plan

    return build


def unrefused(method: Method, family: str, model_config: Any) -> Method:
    """The method as it applies to a family: where it refuses for its rebalancing, without that."""
    kinds = {kind_of(role) for role in family_of(model_config).roles}
    return method if method.refusal(kinds, 5) is None else replace(method, beta=0.0)
