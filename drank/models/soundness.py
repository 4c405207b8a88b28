"""Whether a model directory holds one set of weights that drank can decompose: whole, not adapted, not packed; from headers alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drank.models.description import CheckpointError, is_compressed
from drank.models.families import context_of, family_of, layers_of
from drank.models.tensors import INDEX, WEIGHTS, module_name, stored_tensors, weight_files
from drank.runtime.files import read_json

ADAPTERS = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
"""What PEFT saves, which transformers puts on a model that it loads from the same folder."""

FLOATING = ("F64", "F32", "F16", "BF16")
"""The numbers, as safetensors call them, that weights are made of; of others they are packed into."""


def config_of(directory: Path) -> dict[str, Any]:
    """The contents of config.json; raises ValueError that names it where it holds no keys and values."""
    config = read_json(directory / "config.json")
    if not isinstance(config, dict):
        raise ValueError(f"{directory / 'config.json'} holds no keys and values, as the description of a model has; fetch it again")
    return config


def unsound(directory: Path, partial: bool = False) -> Iterator[str]:
    """A line for everything that forbids reading a model directory with a config.json; `partial` allows weights that are not there yet."""
    yield from adapted(directory)
    try:
        config = config_of(directory)
        family_of(config)
    except (ValueError, TypeError) as error:
        yield f"{directory}: {error}"
    else:
        yield from _unreadable(directory, config)
    if partial and not all(file.is_file() for file in _expected(directory)):
        return
    if not any(directory.glob("*.safetensors")):
        yield f"{directory} holds no .safetensors file; save the model with `save_pretrained` (pickles are not read)"
        return
    faults = list(misread(directory))
    yield from faults or _uneven(directory)


def _uneven(directory: Path) -> Iterator[str]:
    """How the decoder blocks that the files hold differ from those that config.json promises, which are all alike."""
    try:
        config = config_of(directory)
        prefix, layers = f"{family_of(config).blocks}.", layers_of(config)
    except (ValueError, TypeError):
        return  # which is told already
    if config.get("quantization_config"):
        return  # packed weights and shared bases lie in some blocks alone
    names = [module_name(str(config["model_type"]), name) for name in stored_tensors(directory)]
    blocks: dict[str, set[str]] = {}
    for number, _, name in (name.removeprefix(prefix).partition(".") for name in names if name.startswith(prefix)):
        blocks.setdefault(number, set()).add(name)
    if len(blocks) != layers:
        first = f", the first tensor is {names[0]!r}" if names and not blocks else ""
        told = f"holds {len(blocks)} decoder blocks ({prefix}N{first}), and config.json promises {layers}"
        yield f"{directory} {told}; fetch the model again, or save it by `save_pretrained`"
    every = set().union(*blocks.values())
    for number, own in blocks.items():
        if lost := sorted(every - own):
            told = f"{', '.join(lost[:4])}{', …' if len(lost) > 4 else ''}"
            yield f"{directory}: decoder block {number} lacks {told}, which others have; fetch the model again"


def _unreadable(directory: Path, config: dict[str, Any]) -> Iterator[str]:
    """What a config.json of a known family says in a form that nobody reads."""
    for what, read in (("depth", layers_of), ("context", context_of)):
        try:
            read(config)
        except (ValueError, TypeError) as error:
            yield f"{directory / 'config.json'} does not tell the model's {what} ({error}); fetch it again"
    if not isinstance(config.get("quantization_config") or {}, dict):
        yield f"{directory / 'config.json'} has a quantization_config that is no mapping; fetch it again, or leave it out"


def misread(directory: Path) -> Iterator[str]:
    """Why the weights of a model directory are not one whole set, from what its files say of themselves."""
    if (directory / WEIGHTS).is_file() and (directory / INDEX).is_file():
        yield f"{directory} holds two sets of weights, {WEIGHTS} and the shards of {INDEX}; move one of them away"
    try:
        stored_tensors(directory)
    except CheckpointError as error:
        yield str(error)


def adapted(directory: Path) -> Iterator[str]:
    """Why the weights of a model directory are not all there is of the model: an adapter lies beside them."""
    if found := [name for name in ADAPTERS if (directory / name).is_file()]:
        yield (
            f"{directory} holds an adapter ({', '.join(found)}) beside the weights, which transformers would put on the model where it "
            "loads it: merge it by PEFT's merge_and_unload and save that, or move its files to a folder of their own"
        )


def packed(directory: Path) -> Iterator[str]:
    """Why the weights of a model directory are no matrices that can be decomposed: they are compressed or quantised already."""
    config = config_of(directory)
    parts = [part for part in (config, config.get("text_config")) if isinstance(part, dict)]
    found = (part.get(key) for part in parts for key in ("quantization_config", "compression_config"))
    remedy = "name the dense model that it was made of"
    if said := next((quantization for quantization in found if quantization), None):
        method = said.get("quant_method", "by an unknown method") if isinstance(said, dict) else said
        by = "compressed by drank" if is_compressed(said) else f"quantised ({method})"
        yield f"{directory} is {by} already; {remedy}"
        return
    tensors = stored_tensors(directory).items()
    other = {name: one.dtype for name, one in tensors if "weight" in name.rpartition(".")[2] and one.dtype not in FLOATING}
    if other:
        name, dtype = next(iter(other.items()))
        yield f"{directory} is quantised already, as {len(other)} of its tensors show ({name} holds {dtype}); {remedy}"


def _expected(directory: Path) -> list[Path]:
    try:
        return weight_files(directory)
    except CheckpointError:
        return []
