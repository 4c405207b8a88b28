"""What a directory must hold to be exported: a whole model, and nothing that would change it where it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drank.models.card.writing import groups_in
from drank.models.description import CheckpointError
from drank.models.exports.writing import read_one
from drank.models.families import FAMILIES, family_of
from drank.models.groups import Group
from drank.models.headers import StoredTensor
from drank.models.soundness import adapted, config_of
from drank.models.tensors import by_stored_name, stored_tensors, tensors_of
from drank.models.tied import own_head
from drank.models.verification import verify


def description_of(directory: Path) -> dict[str, Any]:
    """config.json of a model that is to be exported, which ties no head that has numbers of its own: servers would leave that out.

    Raises CheckpointError where there is none that can be read, and where an adapter lies beside the weights; UnknownFamilyError for a
    family without an entry.
    """
    if told := next(adapted(directory), None):
        raise CheckpointError(told)
    if not (directory / "config.json").is_file():
        raise CheckpointError(f"{directory} is no model directory: it has no config.json; name another")
    try:
        config = config_of(directory)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    family_of(config)
    return config | ({"tie_word_embeddings": False} if own_head(stored_tensors(directory), config) else {})


def whole_groups(directory: Path, model_type: str) -> tuple[Group, ...]:
    """The groups of a compressed model, once all of it is as its card, its config.json and its family say; no weight is kept in memory.

    Raises CheckpointError that names the files or tensors that are not.
    """
    from drank.models.checkpoint import refuse_incomplete

    groups = groups_in(directory)
    verify(directory)
    tensors = stored_tensors(directory)
    whole = f"{FAMILIES[model_type].blocks.partition('.')[0]}."
    refuse_incomplete(directory, headless=not any(name.startswith(whole) for name in tensors))
    by_name = by_stored_name(model_type, tensors)
    for group in groups:
        if group.shape.form.pivots and not group.dense:
            _refuse_repeated(by_name[next(iter(tensors_of(model_type, group)))], group.shape.rows)
    return groups


def _refuse_repeated(pivots: StoredTensor, inputs: int) -> None:
    """Raise CheckpointError where pivots are not different ones of so many inputs."""
    chosen = read_one(pivots).long()
    if len(chosen.unique()) < len(chosen) or not ((chosen >= 0) & (chosen < inputs)).all():
        raise CheckpointError(
            f"{pivots.name} does not name {len(chosen)} different ones of {inputs} inputs: the file that holds it is corrupt; rerun "
            "`compress`, or fetch it again"
        )
