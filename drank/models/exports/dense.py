"""A compressed model as a plain checkpoint: the factors multiplied out, for programs that know no low-rank layers.

Tensors are read from the files and written to new ones, a shard at a time; of the model only the skeleton is built, to see what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from drank.models.card.exported import merged_card
from drank.models.documents import CARD, MAKING
from drank.models.exports.checked import description_of, whole_groups
from drank.models.exports.writing import Output, read_one, take_along, write_shards
from drank.models.families import FAMILIES, kind_of
from drank.models.groups import Group
from drank.models.hashes import weight_hashes
from drank.models.headers import StoredTensor
from drank.models.tensors import by_stored_name, stored_tensors, tensors_of
from drank.models.weights import read_tensors
from drank.runtime.files import read_json, replacing, share_mode, write_json

if TYPE_CHECKING:
    from torch import Tensor

OURS = ("quantization_config", "transformers_weights")
"""What config.json of a compressed model has and that of a plain one has not."""


def merge(directory: str | Path, out: str | Path, max_shard_size: int | str = "5GB") -> Path:
    """Write the model of a compressed directory as a plain one into `out`, whole or not at all; returns `out`.

    Each matrix is the product of what is stored of it in float64, rounded to the dtype of the factors, so the function is that of the
    low-rank model up to rounding; it takes as much room as the dense model. Biases, tokenizer and generation configuration are kept. Raises
    CheckpointError where the directory holds no whole compressed model, or other weights than its card states, ValueError where `out` is
    that directory.
    """
    directory, out = Path(directory), Path(out)
    config = description_of(directory)
    if out.resolve() == directory.resolve():
        raise ValueError(f"{out} is the model that is to be exported; name another folder for the plain one")
    groups = whole_groups(directory, config["model_type"])
    making = read_json(directory / MAKING) if (directory / MAKING).is_file() else None
    with replacing(out) as temporary:
        temporary.mkdir()
        write_json(temporary / "config.json", {key: value for key, value in config.items() if key not in OURS})
        write_shards(temporary, _outputs(directory, config["model_type"], groups), max_shard_size)
        take_along(directory, temporary)
        share_mode(temporary.glob("*.safetensors"), temporary / "config.json")
        (temporary / CARD).write_text(merged_card(directory.resolve().name, weight_hashes(temporary), making), "utf-8")
    return out


def _outputs(directory: Path, model_type: str, groups: tuple[Group, ...]) -> Iterator[Output]:
    """The tensors of the plain checkpoint."""
    stored = by_stored_name(model_type, stored_tensors(directory))
    factored = [group for group in groups if not group.dense]
    gone = {name for group in factored for name in tensors_of(model_type, group)}
    gone |= {name for name, tensor in stored.items() if not tensor.elements}  # what keeps programs without drank from reading the model
    kept = {name.replace(".coefficients.bias", ".bias"): tensor for name, tensor in stored.items() if name not in gone}
    yield from (Output(name, tensor.bytes, partial(read_one, tensor)) for name, tensor in kept.items())
    for group in factored:
        yield from _products(model_type, group, stored)


def _products(model_type: str, group: Group, stored: Mapping[str, StoredTensor]) -> Iterator[Output]:
    """The dense weights of the projections of one group."""
    shape, names = group.shape, list(tensors_of(model_type, group))
    shared = {name.rsplit(".", 2 if name.endswith("weight") else 1)[1]: stored[name] for name in names[: -len(shape.layers)]}
    transposed = _transposed(model_type, shape.role)

    def read(coefficients: StoredTensor) -> Tensor:
        found = read_tensors({**shared, "coefficients": coefficients})
        product = product_of(found["basis"], found["coefficients"], found.get("pivots")).to(found["coefficients"].dtype)
        return product.mT.contiguous() if transposed else product

    for name in names[-len(shape.layers) :]:
        item = stored[name].bytes // stored[name].elements
        path = name.removesuffix(".coefficients.weight")
        yield Output(f"{path}.weight", shape.rows * shape.columns * item, partial(read, stored[name]))


def product_of(basis: Tensor, coefficients: Tensor, pivots: Tensor | None = None) -> Tensor:
    """The dense weight (d2, d1), float64, of what a low-rank module stores: basis (k, …), coefficients (d2, k), perhaps pivots (k,)."""
    import torch

    others, rows = basis.double(), coefficients.double()
    if pivots is None:
        return rows @ others
    whole = torch.zeros(len(rows), others.shape[1] + len(pivots), dtype=torch.float64)
    free = torch.ones(whole.shape[1], dtype=torch.bool)
    free[pivots.long()] = False
    whole[:, pivots.long()], whole[:, free] = rows, rows @ others
    return whole


def _transposed(model_type: str, role: str) -> bool:
    """Whether a dense projection of this role is stored as (d1, d2)."""
    return any(projection.transposed for projection in FAMILIES[model_type].projections if kind_of(projection.role) == kind_of(role))
