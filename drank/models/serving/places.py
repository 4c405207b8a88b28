"""Where the projections of a compressed model are in vLLM's model of it, and which models cannot be there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drank.models.groups import Group

NAME = "drank"
"""What vLLM calls the quantisation, for one."""

REMEDY = "export it by `drank export DIR OUT --to dense`, which vLLM reads as any model"


READ = ("auto", "hf", "safetensors")
"""vLLM's ways of loading that fetch a model of the hub as drank does; a directory is there by whatever way it is loaded."""


class UnservableError(ValueError):
    """A compressed model that vLLM cannot run, or not as it was asked to."""


@dataclass(frozen=True)
class Place:
    """A projection in vLLM's model: its group, its own path there and that of the projection which stores the basis."""

    group: Group
    path: str
    owner: str


def places_of(model_type: str, groups: Sequence[Group]) -> dict[str, Place]:
    """Where each projection of the groups is, by the path that files and transformers have for it.

    Raises UnservableError for a mixture of experts, whose projections vLLM joins into one tensor a layer.
    """
    from drank.models.families import FAMILIES, module_path
    from drank.models.tensors import stored_name

    if model_type not in FAMILIES:
        raise UnservableError(f"{model_type!r} is not a family that drank knows, so no model that it compressed; look at its config.json")
    if FAMILIES[model_type].mixture:
        raise UnservableError(
            f"a compressed {model_type} model cannot be run by vLLM: it holds the experts of a mixture as one tensor, and low-rank ones "
            f"have ranks of their own; {REMEDY}"
        )
    found: dict[str, Place] = {}
    for group in groups:
        paths = [stored_name(model_type, module_path(model_type, layer, group.shape.role)) for layer in group.shape.layers]
        found |= {path: Place(group, path, paths[0]) for path in paths}
    return found


def moved(places: dict[str, Place], mapper: Any) -> dict[str, Place]:
    """The places by the paths that a mapper of vLLM makes of the ones they have."""
    renamed = {path: mapper.map_name(path) or path for path in places}
    return {renamed[path]: replace(place, path=renamed[path], owner=renamed[place.owner]) for path, place in places.items()}


def parts_of(places: dict[str, Place], packed: dict[str, list[str]], prefix: str) -> list[Place | None]:
    """The places of what one layer of vLLM is made of, None for a projection that no group has."""
    block, _, name = prefix.rpartition(".")
    return [places.get(f"{block}.{part}" if block else part) for part in packed.get(name, [name])]


def torn_apart(names: Sequence[str]) -> UnservableError:
    """What to raise where layers that share a basis, of groups of these names, are not in one stage of a pipeline."""
    return UnservableError(
        f"in a pipeline of several stages the layers of {', '.join(names)} would not be together, which share a basis; serve the model "
        "without pipeline parallelism, or compress it without sharing"
    )


def looked_at(model: str, load_format: str) -> bool:
    """Whether the files of a model, a directory or a name of the hub, are looked at before vLLM loads it in a way."""
    return load_format in READ or Path(model).is_dir()


def refuse_misread(model: str, revision: str | None = None, cache: str | None = None, token: str | bool | None = None) -> None:
    """Raise CheckpointError with every tensor that is missing, unexpected or misshapen: vLLM looks for none of a quantised model.

    Raises what `refuse_left_out` does, too. `model` is a directory or a name of the hub, which is fetched into `cache` as vLLM would.
    """
    from drank.models.checkpoint import MODEL_FILES, refuse_incomplete
    from drank.models.tensors import AGAIN
    from drank.runtime.snapshots import snapshot

    directory = Path(model)
    if not directory.is_dir():
        patterns: dict[str, Any] = {"allow_patterns": list(MODEL_FILES), "ignore_patterns": [AGAIN]}
        directory = snapshot(model, revision=revision, cache_dir=cache, token=token, **patterns)
    refuse_left_out(directory)
    refuse_incomplete(directory)


def refuse_left_out(directory: Path) -> None:
    """Raise CheckpointError for an adapter beside the weights, UnservableError for a head that is tied in name: vLLM reads neither."""
    from drank.models.description import CheckpointError
    from drank.models.soundness import adapted, config_of
    from drank.models.tensors import stored_tensors, weight_files
    from drank.models.tied import own_head

    if told := next(adapted(directory), None):
        raise CheckpointError(told)
    there = all(file.is_file() for file in weight_files(directory))  # else vLLM may find the weights in another form
    if there and (head := own_head(stored_tensors(directory), config_of(directory))):
        raise UnservableError(
            f"config.json of {directory} ties the output layer to the embedding, and the files hold a {head} with other numbers, which "
            "vLLM would leave out: set tie_word_embeddings to false there, as transformers reads the model"
        )
