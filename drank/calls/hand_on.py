"""Hand a compressed model on: say what a directory is, and write it in a form that programs without drank read."""

from __future__ import annotations

import re
from pathlib import Path

from drank.calls.places import place_of, refuse_place
from drank.models.exports.dense import merge
from drank.models.exports.remote_code import add_code
from drank.models.inspection import Inspection, inspect

FORMS = {"dense": merge, "remote-code": add_code}
"""What a compressed model can be exported to, and what does it."""


def export(
    directory: str | Path, out: str | Path, to: str = "dense", *, max_shard_size: int | str = "5GB", overwrite: bool = False
) -> Path:
    """Write a compressed model in another form into the directory `out`, and return that.

    `dense` multiplies the factors out: an ordinary checkpoint with the function of the compressed model, which every program reads that
    reads its family, and as large as the model was before. `remote-code` puts code beside the factors, which stay: transformers and vLLM
    load it as small as it is where they are told `trust_remote_code`. Raises ValueError for another form, CheckpointError where
    `directory` holds no whole compressed model, FileExistsError where `out` must not be replaced.
    """
    if to not in FORMS:
        raise ValueError(f"there is no form {to!r}; known: {', '.join(FORMS)}")
    if not re.fullmatch(r"\d+(\.\d+)?([KMG]i?B)?", str(max_shard_size)):
        raise ValueError(f"max_shard_size {max_shard_size!r} is no size; write it as 5GB or 500MB")
    refuse_place(out, directory, overwrite)
    return FORMS[to](directory, place_of(out), max_shard_size)


def show(directory: str | Path, verify: bool = True) -> Inspection:
    """What a directory is: a model that drank compressed, a dense one, somebody else's, an adapter, the results of a run.

    `str()` of it is a page.

    The files of a model that drank made are held against the hashes that its card states, unless `verify` is off. Raises CheckpointError,
    naming file and hashes, where they differ, and where tensors are missing or damaged.
    """
    return inspect(directory, verify)
