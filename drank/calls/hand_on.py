"""Hand a compressed model on: say what a directory is, and write it in a form that programs without drank read."""

from __future__ import annotations

import re
from pathlib import Path

from drank.calls.places import place_of, refuse_place
from drank.models.exports.dense import merge
from drank.models.exports.onnx import to_onnx
from drank.models.exports.remote_code import add_code
from drank.models.inspected import Inspection
from drank.models.inspection import inspect
from drank.runtime.home import expanded

FORMS = {"dense": merge, "remote-code": add_code, "onnx": to_onnx}
"""What a compressed model can be exported to, and what does it."""

NOT_FORMS = {
    "gguf": "llama.cpp, which reads GGUF, knows no low-rank layers; as LoRA on a base of zeros, the one way to give it factors, they make "
    "the right tokens and no speed. Export to dense and convert that by llama.cpp's convert_hf_to_gguf.py: it runs at the original's size"
}
"""What is asked for and cannot be made, and why."""


def export(
    directory: str | Path, out: str | Path, to: str = "dense", *, max_shard_size: float | str = "5GB", overwrite: bool = False
) -> Path:
    """Write a compressed model in another form into the directory `out`, and return that.

    `dense` multiplies the factors out: an ordinary checkpoint with the function of the compressed model, which every program reads that
    reads its family, and as large as the model was before. `remote-code` puts code beside the factors, which stay: transformers and vLLM
    load it as small as it is where they are told `trust_remote_code`. `onnx` is a graph with key-value cache in float32, of low-rank layers
    as they are, for ONNX Runtime; it needs drank's extra `onnx`, and a dense model can be exported too, to
    compare.

    Raises ValueError for another form, CheckpointError where `directory` holds no whole model of the kind, FileExistsError where `out`
    must not be replaced.
    """
    if to in NOT_FORMS:
        raise ValueError(f"there is no export to {to}: {NOT_FORMS[to]}")
    if to not in FORMS:
        raise ValueError(f"there is no form {to!r}; known: {', '.join(FORMS)}")
    limit = _size_of(max_shard_size)
    refuse_place(out, directory, overwrite)
    return FORMS[to](expanded(directory), place_of(out), limit)


def _size_of(given: float | str) -> int | str:
    """The largest size of a shard as transformers reads it, for which a number must be whole; raises ValueError for what is none."""
    text = str(int(given)) if isinstance(given, float) and given.is_integer() else str(given)
    if not re.fullmatch(r"\d+([KMG]i?B)?", text):
        raise ValueError(f"max_shard_size {given!r} is no size; write whole numbers, as 5GB or 500MB, or bytes")
    return int(text) if text.isdigit() else text


def show(directory: str | Path, verify: bool = True) -> Inspection:
    """What a directory is: a model that drank compressed, a dense one, somebody else's, an adapter, the results of a run.

    `str()` of it is a page.

    The files of a model that drank made are held against the hashes that its card states, unless `verify` is off. Raises CheckpointError,
    naming file and hashes, where they differ, and where tensors are missing or damaged.
    """
    return inspect(expanded(directory), verify)
