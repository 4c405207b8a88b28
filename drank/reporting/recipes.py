"""A method in words, from the settings that a plan or a record holds: how it ranks, what it reads, and what follows the ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from drank.calibration.passes import LIKELIEST, WINDOWS
from drank.corpora.beginnings import NONE, WINDOW, convention_in
from drank.methods import COMPENSATING, Method
from drank.models.theirs import place_of

REFITS = {"in-order": "refit in order", "at-once": "refit at once", "compensated": "compensated refit", "anchored": "anchored factors"}
"""The refits as they are printed."""


def method_in(settings: Mapping[str, Any]) -> Method:
    """The method whose fields the settings are; what an older or newer drank has beside them is left out."""
    known = {field.name for field in fields(Method)}
    return Method(**{name: value for name, value in settings.items() if name in known})


READ = {LIKELIEST: "likeliest tokens", WINDOWS: "single windows"}
"""What backward passes are called that no labels name."""


def ranks(settings: Mapping[str, Any]) -> str:
    """How a method comes to its ranks: `whitening, groups of 2, effective-rank, β 0.3`; empty for the dense model."""
    method = method_in(settings)
    if not method.compresses:
        return ""
    words = [method.weighting, *(f"{name} {value:g}" for name, value in method.weighting_options.items())]
    words += [f"groups of {method.group}"] if method.group > 1 else []
    words += [f"{method.steps} steps"] if method.relinearises else []
    words += [method.allocator, *(f"{name} {value}" for name, value in _of_allocator(method))]
    words += ["guarded"] if method.guard else []
    words += ["one budget"] if method.scope == "model" else []
    moved = "" if method.rebalance == Method.rebalance else f" of {method.rebalance.replace('-', ' ')}"
    words += [f"β {method.beta:g}{moved}"] if method.beta else []
    words += [f"{name} {getattr(method, name):g}" for name in ("floor", "cap") if getattr(method, name) != getattr(Method, name)]
    words += ["dense past break-even"] if method.dense_past_break_even else []
    words += [method.storage] if method.storage != Method.storage else []
    words += [f"multiples of {method.rank_multiple}"] if method.rank_multiple > 1 else []
    return ", ".join(words)


def _of_allocator(method: Method) -> list[tuple[str, Any]]:
    """The options that this method's allocator alone reads, where they are not the usual ones."""
    told = {
        "effective-rank": ("density", method.density, method.density != Method.density),
        "importance-loss": ("mix", f"{method.mix:g}" if method.mix is not None else "chosen", True),
        "optimal": ("of", "shares", method.normalise),
        "random": ("seed", method.seed, True),
    }
    name, value, shown = told.get(method.allocator, ("", "", False))
    return [(name, value)] if shown else []


def given(settings: Mapping[str, Any]) -> str:
    """The plan that gives a method its ranks: `0.4.json of d-rank, SHA-256 1a2b3c4d5e6f`; empty where they are its own."""
    known = settings.get("given") or {}
    of = f" of {known['method']}" if known.get("method") else ""
    return f"{settings['plan']}{of}" + (f", SHA-256 {known['sha256'][:12]}" if known else "") if settings.get("plan") else ""


def reads(settings: Mapping[str, Any]) -> str:
    """What a method reads beside the weights: `inputs, gradients (sampled labels), outputs of the dense model`."""
    method = method_in(settings)
    again = method.refit_from is not None or method.corrections > 0
    words = ["inputs"] if method.weighs_inputs or "similarities" in method.needs or again else []
    words += [f"gradients ({READ.get(labels, f'{labels} labels')})" for labels in method.passes]
    words += ["outputs of the dense model"] if method.compensates(1.0) or method.corrections else []
    return ", ".join(words) if method.compresses else ""


def follows(settings: Mapping[str, Any]) -> str:
    """What follows the ranks: `compensated refit (0.5), 4 corrections`; empty where the factors stay as they are cut."""
    method = method_in(settings)
    if not method.compresses:
        return ""
    refit = REFITS[method.refit] + (f" ({method.compensation:g})" if method.refit in COMPENSATING else "")
    words = [refit] if method.refit_from is not None else []
    words += [f"{method.corrections} correction{'s' if method.corrections > 1 else ''}"] if method.corrections else []
    words += ["LoRA"] if method.finetune_from is not None else []
    return ", ".join(words)


def texts(provenance: Mapping[str, Any]) -> str:
    """The texts that a method read, from a record's provenance: `wiki.train, 128 × 256 tokens; search wiki.validation, 8 × 256 tokens`.

    Where gradients were taken on fewer windows this is said; empty where no text was read.
    """
    facts, making = provenance["calibration"] or {}, provenance["making"] or {}
    fewer = facts.get("gradient_windows", facts.get("windows")) != facts.get("windows")
    words = [_text(facts) + (f", gradients on {facts['gradient_windows']}" if fewer else "")] if "corpus" in facts else []
    words += [f"search {_text(facts['search'])}"] if facts.get("search") else []
    tuned = making.get("texts", {}).get("finetune")
    words += [f"fine-tuning {_text(tuned)}"] if tuned else []
    return "; ".join(words)


def checkpoint(provenance: Mapping[str, Any]) -> str:
    """Where somebody else's checkpoint was found, from a record's provenance: its path, or its hub id and commit; empty for all others."""
    found = provenance.get("checkpoint")
    return place_of(found["source"]) if found else ""


def _text(facts: Mapping[str, Any]) -> str:
    begun = {WINDOW: ", each behind a BOS", NONE: ", without BOS"}.get(convention_in(facts), "")
    return f"{facts['corpus']}.{facts['split']}, {facts['windows']} × {facts['length']} tokens{begun}"
