"""A compressed model as a plain checkpoint: the factors multiplied out, for programs that know no low-rank layers.

Tensors are read from the files and written to new ones, a shard at a time; no model is built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from drank.models.card.merged import merged_card
from drank.models.card.writing import groups_in
from drank.models.documents import CARD, MAKING, NUMBERS, PLAN
from drank.models.families import FAMILIES, kind_of, module_path
from drank.models.groups import Group
from drank.models.hashes import weight_hashes
from drank.models.headers import StoredTensor
from drank.models.tensors import INDEX, WEIGHTS, by_stored_name, stored_name, stored_tensors, weight_files
from drank.models.weights import read_tensors
from drank.runtime.files import read_json, replacing, share_mode, write_json

if TYPE_CHECKING:
    from torch import Tensor

OURS = ("quantization_config", "transformers_weights")
"""What config.json of a compressed model has and that of a plain one has not."""


@dataclass(frozen=True)
class _Output:
    """A tensor of the plain checkpoint: its name and size in bytes, and what gives it."""

    name: str
    bytes: int
    read: Callable[[], Tensor]


def merge(directory: str | Path, out: str | Path, max_shard_size: int | str = "5GB") -> Path:
    """Write the model of a compressed directory as a plain one into `out`, whole or not at all; returns `out`.

    Each matrix is the product of its factors in float64, rounded to the dtype of the factors, so the function is that of the low-rank
    model up to rounding; it takes as much room as the dense model. Biases, tokenizer and generation configuration are kept. Raises
    CheckpointError where the directory holds no whole compressed model, ValueError where `out` is that directory.
    """
    directory, out = Path(directory), Path(out)
    groups, config = groups_in(directory), read_json(directory / "config.json")
    if out.resolve() == directory.resolve():
        raise ValueError(f"{out} is the model that is to be exported; name another folder for the plain one")
    making = read_json(directory / MAKING) if (directory / MAKING).is_file() else None
    with replacing(out) as temporary:
        temporary.mkdir()
        write_json(temporary / "config.json", {key: value for key, value in config.items() if key not in OURS})
        _write_shards(temporary, list(_outputs(directory, config["model_type"], groups)), max_shard_size)
        for path in _others(directory):
            (temporary / path.name).write_bytes(path.read_bytes())
        share_mode(temporary.glob("*.safetensors"), temporary / "config.json")
        (temporary / CARD).write_text(merged_card(directory.resolve().name, weight_hashes(temporary), making), "utf-8")
    return out


def _outputs(directory: Path, model_type: str, groups: tuple[Group, ...]) -> Iterator[_Output]:
    """The tensors of the plain checkpoint, in the order of their names."""
    stored = by_stored_name(model_type, stored_tensors(directory))
    low_rank: dict[str, tuple[str, str]] = {}
    for group in groups:
        if not group.dense:
            paths = [stored_name(model_type, module_path(model_type, layer, group.shape.role)) for layer in group.shape.layers]
            low_rank |= dict.fromkeys(paths, (f"{paths[0]}.basis.weight", group.shape.role))
    gone = {name for path, (basis, _) in low_rank.items() for name in (basis, f"{path}.coefficients.weight")}
    gone |= {name for name, tensor in stored.items() if not tensor.elements}  # what keeps programs without drank from reading the model
    kept = {name.replace(".coefficients.bias", ".bias"): tensor for name, tensor in stored.items() if name not in gone}
    outputs = [_Output(name, tensor.bytes, partial(_read, tensor)) for name, tensor in kept.items()]
    for path, (basis, role) in low_rank.items():
        outputs.append(_product(path, stored[basis], stored[f"{path}.coefficients.weight"], _transposed(model_type, role)))
    yield from sorted(outputs, key=lambda output: _natural(output.name))


def _product(path: str, basis: StoredTensor, coefficients: StoredTensor, transposed: bool) -> _Output:
    """The dense weight of one projection."""

    def read() -> Tensor:
        factors = read_tensors({"basis": basis, "coefficients": coefficients})
        product = (factors["coefficients"].double() @ factors["basis"].double()).to(factors["coefficients"].dtype)
        return product.mT.contiguous() if transposed else product

    item = coefficients.bytes // coefficients.elements
    return _Output(f"{path}.weight", coefficients.shape[0] * basis.shape[1] * item, read)


def _transposed(model_type: str, role: str) -> bool:
    """Whether a dense projection of this role is stored as (d1, d2)."""
    return any(projection.transposed for projection in FAMILIES[model_type].projections if kind_of(projection.role) == kind_of(role))


def _read(tensor: StoredTensor) -> Tensor:
    return read_tensors({tensor.name: tensor})[tensor.name]


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts layer 2 before layer 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


def _write_shards(directory: Path, outputs: list[_Output], max_shard_size: int | str) -> None:
    """Write the tensors to one file, or to several and an index where they are larger than a shard may be."""
    from safetensors.torch import save_file
    from transformers.utils.hub import convert_file_size_to_int

    limit, size = convert_file_size_to_int(max_shard_size), 0
    shards: list[list[_Output]] = [[]]
    for output in outputs:
        if shards[-1] and size + output.bytes > limit:
            shards.append([])
            size = 0
        shards[-1].append(output)
        size += output.bytes
    total = len(shards)
    names = [WEIGHTS] if total == 1 else [f"model-{number:05d}-of-{total:05d}.safetensors" for number in range(1, total + 1)]
    for name, shard in zip(names, shards, strict=True):
        save_file({output.name: output.read() for output in shard}, directory / name, metadata={"format": "pt"})
    if total > 1:
        weight_map = {output.name: name for name, shard in zip(names, shards, strict=True) for output in shard}
        write_json(directory / INDEX, {"metadata": {"total_size": sum(output.bytes for output in outputs)}, "weight_map": weight_map})


def _others(directory: Path) -> Iterator[Path]:
    """The files beside weights and configuration that are the plain model's too: tokenizer, generation configuration, licence."""
    ours = {CARD, PLAN, MAKING, NUMBERS, "config.json", INDEX, WEIGHTS, *(path.name for path in weight_files(directory))}
    for path in sorted(directory.iterdir()):
        if path.is_file() and path.name not in ours and not path.name.startswith(".") and path.suffix != ".safetensors":
            yield path
