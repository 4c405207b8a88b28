"""What is wrong with the plans that a configuration gives: told of their files alone, and of the model where it is here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drank.allocation.allocate import check_budget
from drank.allocation.given import Given
from drank.config.chain import Chain
from drank.config.method_entries import method_of
from drank.config.resolved import entries_for, ratios_of, shape_of
from drank.methods import Method
from drank.models.sources import SourceError, directory_of
from drank.models.weights import Checkpoint


def plan_problems(config: Mapping[str, Any], model: str) -> Iterator[str]:
    """A line for every given plan of one model that cannot be read, or has no ranks for that model at a ratio of the configuration."""
    shape = shape_of(config, model)
    for label, options in entries_for(config, model).items():
        try:
            method = method_of(label, options)
        except (ValueError, TypeError, AttributeError):
            continue  # which other checks tell
        if method.plan and not (shape and method.refusal(*shape)):
            for ratio in ratios_of(config, method):
                yield from (f"method {label}: {fault}" for fault in plan_faults(config, (model, label, f"{ratio:g}"), method))


def plan_faults(config: Mapping[str, Any], place: tuple[str, str, str], method: Method) -> Iterator[str]:
    """What is wrong with the plan that a method is given for a place, of model, label and ratio; nothing where it is given none."""
    model, label, ratio = place
    chain = Chain(model, label, method, ratio, {})
    for path in chain.given.values():
        if Path(path).absolute() == Path(chain.plan).absolute():
            yield f"plan {path} is where this run writes the ranks of {label}; copy it elsewhere, and name the copy"
            continue
        try:
            given = Given.read(path)
            if shapes := _shapes(config, model, method):
                check_budget(shapes, float(ratio), method.ranking(), given)
        except ValueError as error:
            near = Path(path).is_absolute() or Path(path).exists()
            yield f"{error}{'' if near else ' (relative paths start at the folder of the configuration file)'}"


def _shapes(config: Mapping[str, Any], model: str, method: Method) -> list[Any]:
    """The groups of a model, none of one that is not here yet, or not sound, as other checks tell."""
    try:
        return list(Checkpoint(directory_of(config["models"][model])).shapes(method.group))
    except (SourceError, OSError, KeyError, ValueError, TypeError):
        return []
