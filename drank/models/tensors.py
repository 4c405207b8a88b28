"""What a model directory stores: the description of its low-rank modules, the tensors in its safetensors files, and their count.

Reads headers only and needs no torch. Parameters are counted here and nowhere else, over the tensors as they are stored, so that a basis
which several layers share, or an embedding tied to the output, counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drank.models.description import CheckpointError, described, is_compressed
from drank.models.families import FAMILIES, kind_of, module_path
from drank.models.groups import Group
from drank.models.headers import StoredTensor, read_header
from drank.models.tied import counted
from drank.runtime.files import read_json

OBSOLETE = (
    *(".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias"),
    *(".rotary_emb.inv_freq", ".rotary_emb.cos_cached", ".rotary_emb.sin_cached"),
)
"""Masks and frequencies that old checkpoints store; models compute them, and have no parameters that end so."""

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
"""The file of all weights, or the list of those that share them."""

AGAIN = "consolidated*.safetensors"
"""The same weights under the names of Mistral's own programs, which lie beside the others in its repositories and are not fetched."""

_HEAD = "lm_head"
"""What a model for causal language modelling has beside its base model."""


@dataclass(frozen=True)
class StoredSize:
    """The size of a model, counted over its saved tensors; the ratios are removed shares, of the compressed projections and of the model.

    A ratio is negative where the factors hold more than the matrices they replace, as at full rank.
    """

    parameters: int
    bytes: int
    ratio_stored: float
    ratio_model: float


def stored_tensors(directory: str | Path) -> dict[str, StoredTensor]:
    """Every tensor of a model directory by the name it has there, from the headers of its safetensors files, one or many.

    Raises CheckpointError that names the files which are missing, truncated or no safetensors.
    """
    directory = Path(directory)
    files = weight_files(directory)
    if missing := [str(file) for file in files if not file.is_file()]:
        others = sorted(file.name for file in directory.glob("*.safetensors") if file not in files)
        there = f" ({', '.join(others[:4])}{', …' if len(others) > 4 else ''} there is not what transformers loads)" if others else ""
        raise CheckpointError(
            f"missing: {', '.join(missing)}{there}; drank reads safetensors only: rerun `compress`, or fetch the model again"
        )
    return {name: tensor for file in files for name, tensor in read_header(file).items() if not name.endswith(OBSOLETE)}


def weight_files(directory: Path) -> list[Path]:
    """The files that should hold the weights of a model directory, one or those of its index, whether they are there or not.

    Raises CheckpointError for an index that cannot be read.
    """
    single, index = directory / WEIGHTS, directory / INDEX
    if single.exists() or not index.exists():
        return [single]
    try:
        return [directory / name for name in sorted(set(read_json(index)["weight_map"].values()))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index} does not say which files hold the weights: {error}; fetch it again") from error


def stored_name(model_type: str, name: str) -> str:
    """The name that files of a family give to a tensor, from the dotted name that its module has in drank."""
    names = {own: stored for stored, own in FAMILIES[model_type].renamed.items()}
    return ".".join(names.get(part, part) for part in name.split("."))


def module_name(model_type: str, name: str) -> str:
    """The dotted name in the model of a tensor, from the one in its file; files of a base model lack its prefix, as transformers allows."""
    family = FAMILIES[model_type]
    parts = [family.renamed.get(part, part) for part in name.split(".")]
    prefix = family.blocks.partition(".")[0]
    return ".".join(parts if parts[0] in (prefix, _HEAD) else [prefix, *parts])


def by_stored_name(model_type: str, tensors: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """The tensors by the names that files of the whole model give them: those of a base model lack its prefix."""
    return {stored_name(model_type, module_name(model_type, name)): tensor for name, tensor in tensors.items()}


def size_of(directory: str | Path) -> StoredSize:
    """The parameters and bytes that a model directory stores, dense or compressed, and the shares that were removed.

    Parameters of projections are weights only, without biases. Raises CheckpointError where the files lack a tensor that the config
    promises.
    """
    config = read_json(Path(directory) / "config.json")
    tensors = counted(stored_tensors(directory), config)
    parameters = sum(tensor.elements for tensor in tensors.values())
    quantization = config.get("quantization_config") or {}
    groups = described(quantization) if is_compressed(quantization) else ()
    names = [name for group in groups for name in tensors_of(config["model_type"], group)]
    tensors = by_stored_name(config["model_type"], tensors) if groups else tensors
    if absent := [name for name in names if name not in tensors]:
        raise CheckpointError(
            f"{directory} lacks {len(absent)} tensors that its config.json promises: {', '.join(absent)}; rerun `compress`"
        )
    kept = sum(tensors[name].elements for name in names)
    dense = sum(group.shape.dense_parameters for group in groups)
    return StoredSize(
        parameters=parameters,
        bytes=sum(tensor.bytes for tensor in tensors.values()),
        ratio_stored=1 - kept / dense if groups else 0.0,
        ratio_model=(dense - kept) / (parameters - kept + dense) if groups else 0.0,
    )


def tensors_of(model_type: str, group: Group) -> dict[str, tuple[int, ...]]:
    """The tensors that hold the weights of a group, by the names they have in files, with their shapes: first what its layers share."""
    shape, rank = group.shape, group.rank
    paths = [stored_name(model_type, module_path(model_type, layer, shape.role)) for layer in shape.layers]
    if group.dense:
        transposed = any(part.transposed for part in FAMILIES[model_type].projections if kind_of(part.role) == shape.kind)
        sides = (shape.rows, shape.columns) if transposed else (shape.columns, shape.rows)
        return dict.fromkeys((f"{path}.weight" for path in paths), sides)
    shared = {"pivots": (rank,), "basis.weight": (rank, shape.rows - rank)} if shape.form.pivots else {"basis.weight": (rank, shape.rows)}
    own = {f"{path}.coefficients.weight": (shape.columns, rank) for path in paths}
    return {f"{paths[0]}.{name}": size for name, size in shared.items()} | own
