"""What a configuration means for each of its models: the methods that apply, and the text that each step reads, with its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drank.calibration.passes import LABELS
from drank.config.method_entries import method_of
from drank.config.roundings import unfit
from drank.methods import METHODS, Method
from drank.models.families import family_of, kind_of
from drank.models.sources import SourceError, directory_of
from drank.models.weights import Checkpoint


def perplexity_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The section `perplexity` without what decides no perplexity: what else is measured beside it, and what a run puts up with."""
    return {key: value for key, value in config["perplexity"].items() if key not in ("to_dense", "seen", "overfitting")}


def methods_for(config: Mapping[str, Any], model: str) -> dict[str, Method]:
    """The methods of a run that apply to one model, with its options, by label, in the configuration's order."""
    refused = refusals_for(config, model)
    return {label: method for label, method in _methods_named(config, model).items() if label not in refused}


def refusals_for(config: Mapping[str, Any], model: str) -> dict[str, str]:
    """Why methods of a run cannot apply to one model, by label; for a model that is not on this machine yet what can be told without it."""
    absent = {label: f"its {what} is given for other models only" for label, what in given_elsewhere(config, model).items()}
    absent |= unfit(config["models"][model], _methods_named(config, model))
    shape = shape_of(config, model)
    reasons = {label: method.refusal(*shape) for label, method in _methods_named(config, model).items()} if shape else {}
    return absent | {label: reason for label, reason in reasons.items() if reason}


def shape_of(config: Mapping[str, Any], model: str) -> tuple[set[str], int] | None:
    """The kinds of projection of a model and its number of layers; None where it is not here, or not sound, as `check` tells."""
    try:
        checkpoint = Checkpoint(directory_of(config["models"][model]))
        return {kind_of(role) for role in family_of(checkpoint.config).roles}, checkpoint.layers
    except (SourceError, OSError, KeyError, ValueError):
        return None


def entries_for(config: Mapping[str, Any], model: str) -> dict[str, dict[str, Any]]:
    """The options of every method of a run as they stand for one model, by label, without those `given_elsewhere`."""
    changes, absent = config["models"][model]["methods"], given_elsewhere(config, model)
    return {label: {**options, **changes.get(label, {})} for label, options in config["methods"].items() if label not in absent}


def given_elsewhere(config: Mapping[str, Any], model: str) -> dict[str, str]:
    """The labels that say for another model where a `checkpoint` or a `plan` lies, and for this one not, each with which it is."""
    changes, lacking = [source["methods"] for source in config["models"].values()], dict[str, str]()
    for label, options in config["methods"].items():
        own = {**options, **config["models"][model]["methods"].get(label, {})}
        if not own and label not in METHODS:
            lacking[label] = "checkpoint"
        elif own.get("allocator") == "given" and not own.get("plan"):
            lacking[label] = "plan"
    return {label: what for label, what in lacking.items() if any(of_model.get(label, {}).get(what) for of_model in changes)}


def _methods_named(config: Mapping[str, Any], model: str) -> dict[str, Method]:
    return {label: method_of(label, options) for label, options in entries_for(config, model).items()}


def ratios_of(config: Mapping[str, Any], method: Method) -> list[float]:
    """The ratios at which a run makes a model by a method; 0 alone for one that meets no budget."""
    return config["ratios"] if method.budgeted else [0]


APART = ("curvature_windows", "draws")
"""Keys of a calibration that are no part of its text."""

Changes = Mapping[str, Any] | None
"""What a method's own `calibration` sets instead of the run's."""


def calibration_options(config: Mapping[str, Any], changes: Changes = None) -> dict[str, Any]:
    """The text that moments are taken on, nothing where a configuration has none, without the keys that are no part of it."""
    return {key: value for key, value in config.get("calibration", {}).items() if key not in APART} | dict(changes or {})


def gradient_options(config: Mapping[str, Any], labels: str, changes: Changes = None) -> dict[str, Any]:
    """The same text for a backward pass with these labels: `gradient_windows` is how many of its windows are read, the first ones.

    They are all of them for the labels of the text, whose mean gradient ranks components. Sampled labels tell second moments alone, and for
    those `curvature_windows` are enough, half of all where it is not set.
    """
    calibration = calibration_options(config, changes)
    if not calibration:
        return {}
    few = min(config["calibration"]["curvature_windows"] or -(-calibration["windows"] // 2), calibration["windows"])
    return calibration | {"gradient_windows": few if labels == "sampled" else calibration["windows"]}


def shards_of(config: Mapping[str, Any]) -> dict[str, int]:
    """Into how many jobs a run divides each step that is a sum over windows or items, by the rule that adds them up.

    They are `compute.shards`, and never more than there are batches of windows; how many windows or items a measurement reads is known
    only when it reads them.
    """
    asked, text = config["compute"]["shards"], calibration_options(config)
    read = [gradient_options(config, labels)["gradient_windows"] for labels in LABELS] if text else []

    def batches(windows: int) -> int:
        return -(-windows // text["batch"])

    shares = {"calibrate": min(asked, batches(text["windows"])), "gradients": min(asked, *map(batches, read))} if text else {}
    return {"calibrate": 1, "gradients": 1, "evaluate": asked, **shares}


def search_options(config: Mapping[str, Any], changes: Changes = None) -> dict[str, Any]:
    """The text that searches and choices measure on: the calibration's, with what the section `search` sets instead.

    Never the very windows of the calibration: where these are drawn by the seed of the search, as one of several draws may be, it takes
    the one beside it.
    """
    read = calibration_options(config, changes)
    found = read | _given(config["search"])
    same = bool(read) and all(found[key] == read[key] for key in ("corpus", "split", "length", "seed"))
    return found | {"seed": found["seed"] ^ 1} if same else found


def finetune_options(config: Mapping[str, Any], changes: Changes = None) -> dict[str, Any]:
    """The text and the settings of fine-tuning: the calibration's text, with what the section `finetune` sets instead."""
    return calibration_options(config, changes) | _given(config["finetune"])


def _given(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if value is not None}
