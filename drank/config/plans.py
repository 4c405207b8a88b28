"""What is wrong with the plans that a configuration gives: told of their files alone, and of the model where it is here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drank.allocation.allocate import check_budget
from drank.allocation.given import Given
from drank.config.artefacts import Runs
from drank.config.chain import Chain
from drank.config.method_entries import method_of
from drank.config.resolved import entries_for
from drank.models.sources import SourceError, directory_of
from drank.models.weights import Checkpoint
from drank.variants import base_of


def plan_problems(config: Mapping[str, Any], folder: Path | None = None) -> list[str]:
    """A line for every given plan of a run that is asked for which cannot be read, has no ranks for its model, or would be written over.

    What would be is known only with the `folder` of the run.
    """
    chains = _chains(config)
    written = {place: chain for chain in chains if folder for place in _written(chain, folder)}
    found: dict[tuple[str, str, str], str] = {}
    for chain in chains:
        for path in chain.given.values():
            place = Path(os.path.realpath(path))
            over = next((written[one] for one in (place, *place.parents) if one in written), None)
            for fault in [_overwritten(path, over)] if over else _faults(config, chain, path):
                found.setdefault((chain.model, base_of(chain.label), fault), f"models.{chain.model}: method {chain.label}: {fault}")
    return list(found.values())


def _chains(config: Mapping[str, Any]) -> list[Chain]:
    """The ways to all models that a run compresses, by those of its methods that are right; none where no plan is given.

    Of a run that is wrong otherwise nobody knows what it asks for, as other checks tell.
    """
    entries = {model: entries_for(config, model) for model in config["models"]}
    if not any("plan" in options for named in entries.values() for options in named.values()):
        return []
    wrong = {label for named in entries.values() for label, options in named.items() if not _right(label, options)}
    try:
        runs = Runs({**config, "methods": {label: options for label, options in config["methods"].items() if label not in wrong}})
    except (ValueError, TypeError, AttributeError, KeyError):
        return []
    found = [Chain(model, label, runs.methods[model][label], ratio, {}) for model, label, ratio in runs.wanted]
    return [chain for chain in found if chain.method.compresses]


def _right(label: str, options: Mapping[str, Any]) -> bool:
    try:
        method_of(label, options)
    except (ValueError, TypeError, AttributeError):
        return False
    return True


def _written(chain: Chain, folder: Path) -> list[Path]:
    """Where the run writes ranks, and the folder of a model, which has them too; whatever links lead there."""
    return [Path(os.path.realpath(folder / path)) for path in (chain.plan, chain.made)]


def _overwritten(path: str, chain: Chain) -> str:
    what = f"{chain.label} for {chain.model} at ratio {chain.ratio}"
    return f"plan {path} lies where the results of {what} are written, and would be lost; copy it elsewhere, and name the copy"


def _faults(config: Mapping[str, Any], chain: Chain, path: str) -> Iterator[str]:
    """What is wrong with the plan of a file that gives the ranks of a model."""
    try:
        given = Given.read(path)
        if shapes := _shapes(config, chain):
            check_budget(shapes, float(chain.ratio), chain.method.ranking(), given)
    except ValueError as error:
        near = Path(path).is_absolute() or Path(path).exists()
        yield f"{error}{'' if near else ' (relative paths start at the folder of the configuration file)'}"


def _shapes(config: Mapping[str, Any], chain: Chain) -> list[Any]:
    """The groups of a model, none of one that is not here yet, or not sound, as other checks tell."""
    try:
        return list(Checkpoint(directory_of(config["models"][chain.model])).shapes(chain.method.group))
    except (SourceError, OSError, KeyError, ValueError, TypeError):
        return []
