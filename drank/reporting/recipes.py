"""A method in words, from the settings that a plan or a record holds: how it ranks, what it reads, and what follows the ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from drank.methods import Method
from drank.spectra.weightings import WEIGHTINGS

REFITS = {"in-order": "refit in order", "at-once": "refit at once", "compensated": "compensated refit"}
"""The refits as they are printed."""


def method_in(settings: Mapping[str, Any]) -> Method:
    """The method whose fields the settings are; what an older or newer drank has beside them is left out."""
    known = {field.name for field in fields(Method)}
    return Method(**{name: value for name, value in settings.items() if name in known})


def ranks(settings: Mapping[str, Any]) -> str:
    """How a method comes to its ranks: `whitening, groups of 2, effective-rank, β 0.3`; empty for the dense model."""
    method = method_in(settings)
    if not method.compresses:
        return ""
    words = [method.weighting, *(f"{name} {value:g}" for name, value in method.weighting_options.items())]
    words += [f"groups of {method.group}"] if method.group > 1 else []
    words += [f"{method.steps} steps"] if method.relinearises else []
    words += [method.allocator, *(["one budget"] if method.scope == "model" else [])]
    words += [f"β {method.beta:g}"] if method.beta else []
    words += [f"{name} {value:g}" for name in ("floor", "cap", "mix") if (value := getattr(method, name))]
    words += ["dense past break-even"] if method.dense_past_break_even else []
    return ", ".join(words)


def reads(settings: Mapping[str, Any]) -> str:
    """What a method reads beside the weights: `inputs, gradients (sampled labels), outputs of the dense model`."""
    method = method_in(settings)
    follows = method.refit_from is not None or method.corrections > 0
    words = ["inputs"] if WEIGHTINGS[method.weighting].moments or "similarities" in method.needs or follows else []
    words += [f"gradients ({method.labels} labels)"] if method.reads_gradients else []
    words += ["search text"] if "sensitivity" in method.needs or method.allocator == "importance-loss" else []
    words += ["outputs of the dense model"] if method.compensates(1.0) or method.corrections else []
    words += ["fine-tuning text"] if method.finetune_from is not None else []
    return ", ".join(words) if method.compresses else ""


def follows(settings: Mapping[str, Any]) -> str:
    """What follows the ranks: `compensated refit, 3 corrections`; empty where the factors stay as they are cut."""
    method = method_in(settings)
    if not method.compresses:
        return ""
    words = [REFITS[method.refit]] if method.refit_from is not None else []
    words += [f"{method.corrections} correction{'s' if method.corrections > 1 else ''}"] if method.corrections else []
    words += ["LoRA"] if method.finetune_from is not None else []
    return ", ".join(words)


def calibration(facts: Mapping[str, Any] | None) -> str:
    """The text that a method was calibrated on: `python-docs.train, 128 × 256 tokens`; empty where it read none."""
    return f"{facts['corpus']}.{facts['split']}, {facts['windows']} × {facts['length']} tokens" if facts else ""
