"""The method that an entry of a configuration describes, and what can be wrong with the entry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, replace
from typing import Any

from drank.allocation.allocate import CHOICES as ALLOCATION_CHOICES
from drank.allocation.allocate import refusal
from drank.allocation.allocators import ALLOCATORS
from drank.allocation.options import Options
from drank.calibration.passes import LABELS
from drank.methods import COMPENSATING, METHODS, Method
from drank.models.theirs import place_of
from drank.runtime.suggestions import near
from drank.spectra.weightings import WEIGHTINGS

CHOICES: dict[str, Collection[str]] = {
    "weighting": WEIGHTINGS,
    "labels": LABELS,
    **ALLOCATION_CHOICES,
    "refit": ("in-order", "at-once", *COMPENSATING),
}
"""What the options that name something may name."""


READERS: dict[str, Callable[[Method], bool]] = {
    "alpha": lambda method: "alpha" in WEIGHTINGS[method.weighting].options,
    "damping": lambda method: "damping" in WEIGHTINGS[method.weighting].options,
    "labels": lambda method: method.reads_labels,
    "density": lambda method: method.allocator == "effective-rank",
    "guard": lambda method: ALLOCATORS[method.allocator].guardable,
    "mix": lambda method: method.allocator == "importance-loss",
    "normalise": lambda method: method.allocator == "optimal",
    "seed": lambda method: method.allocator == "random",
    "rebalance": lambda method: method.beta > 0,
    "refit": lambda method: method.refit_from is not None,
    "compensation": lambda method: method.refit_from is not None and method.refit in COMPENSATING,
    "plan": lambda method: "plan" in method.needs,
}
"""Who reads an option that is not for every method."""

KEPT = ("allocator", "storage", "dense_past_break_even")
"""What of the options of an allocation holds of ranks that are given too; all others say how ranks are found."""


EVERY_KIND = ("q", "k", "v", "o", "gate", "up", "down")
"""The kinds of projection of a model to which any sensible settings apply."""


def method_of(label: str, options: Mapping[str, Any]) -> Method:
    """The method that a configuration's entry describes; for a checkpoint beside it one that compresses nothing and says where it is.

    Raises ValueError naming every unknown name in it, options that nothing would read, and settings that can apply to no model.
    """
    if options.get("checkpoint") is not None:
        return _theirs(label, options)
    base = options.get("base", label)
    if base not in METHODS:
        raise ValueError(f"method {base!r} is unknown{near(base, METHODS)}; known: {', '.join(METHODS)}")
    entry = METHODS[base]
    changes = {key: value for key, value in options.items() if key != "base"}
    problems = []
    if label in METHODS and base != label:
        problems.append(f"the name is taken by a method of the table; give {base} with other options a name of its own")
    if label != base and (entry.control or not entry.compresses):
        problems.append(f"{base} goes by its own name alone, so that tables and reports know it")
    if changes and not entry.compresses:
        problems.append(f"{base} has no such options, and these are set: {', '.join(changes)}")
    if entry.budgeted and changes.get("allocator") == "full":
        problems.append("allocator full meets no budget; use the method full-rank")
    if not entry.budgeted and changes.get("allocator") == "given":
        problems.append(f"{base} meets no ratio, and a plan is for one; start from another base, such as svd-llm")
    for axis, known in CHOICES.items():
        value = changes.get(axis)
        if value is not None and value not in known:
            problems.append(f"{axis} {value!r} is unknown{near(value, known)}; known: {', '.join(known)}")
    problems += [
        f"{name} {changes[name]!r} has more than six digits, and spectra are named by six"
        for name in ("alpha", "damping")
        if name in changes and float(f"{changes[name]:g}") != changes[name]
    ]
    if problems:
        raise ValueError(f"method {label}: {'; '.join(problems)}")
    if "plan" in ALLOCATORS[changes.get("allocator", entry.allocator)].needs:
        if not changes.get("plan"):
            raise ValueError(f"method {label}: allocator given has the ranks of a plan, and none is named; add its file, plan: PATH")
        entry = replace(entry, **{field.name: getattr(Method, field.name) for field in fields(Options) if field.name not in KEPT})
    method = replace(entry, **({} if label in METHODS else {"title": label}) | changes)
    unread = [name for name in changes if name in READERS and not READERS[name](method) and changes[name] != getattr(entry, name)]
    if unread:
        raise ValueError(
            f"method {label}: {', '.join(unread)} would change nothing: allocator {method.allocator}, weighting {method.weighting}, beta "
            f"{method.beta:g}, refit_from {method.refit_from} and refit {method.refit} do not read it; leave it out, or choose what does"
        )
    if "slopes" in method.needs and method.labels != "text":
        raise ValueError(
            f"method {label}: allocator {method.allocator} ranks components by the mean gradient, which for {method.labels} labels is "
            "noise about zero; set labels: text"
        )
    if method.relinearises and (reason := _standstill(method)):
        raise ValueError(f"method {label}: {reason}")
    if method.compresses and (reason := refusal(method.ranking(), EVERY_KIND)):
        raise ValueError(f"method {label}: {reason}")
    return method


def _theirs(label: str, options: Mapping[str, Any]) -> Method:
    given, known = dict(options["checkpoint"]), METHODS.get(label)
    same = known is not None and known.checkpoint is not None and known.checkpoint["bits"] == given.get("bits")
    problems = [f"the name is taken by a method of the table; call {place_of(given)} otherwise"] if known and not same else []
    if others := [name for name in options if name != "checkpoint"]:
        problems.append(f"a checkpoint is measured as it is, and {', '.join(others)} would change nothing; leave it out, or the checkpoint")
    if problems:
        raise ValueError(f"method {label}: {'; '.join(problems)}")
    title = known.title if known else label
    return Method(title, weighting="identity", compresses=False, budgeted=False, checkpoint=given)


def _standstill(method: Method) -> str | None:
    """Why steps would be of no use to this method, None where they are."""
    told = f"steps {method.steps} measures moments and gradients again on the model compressed in part"
    if not method.budgeted:
        return f"{told}, and this method meets no budget that could be neared in steps; set steps: 1"
    if "plan" in method.needs:
        return f"{told}, and allocator given has ranks for the ratio alone, none for the steps to it; set steps: 1"
    if not method.weighs_gradients:
        known = ", ".join(name for name, weighting in WEIGHTINGS.items() if weighting.gradients)
        return f"{told}, and weighting {method.weighting} reads no gradients; set steps: 1, or a weighting that does: {known}"
    if method.needs:
        read = ", ".join(sorted(method.needs))
        return f"{told}, and allocator {method.allocator} reads {read} too, which is of the dense model; set steps: 1, or another allocator"
    return None
