"""The weights of a dense model directory, read one tensor at a time without building the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.models.families import Family, family_of, kind_of, layers_of, module_path
from drank.models.groups import Shape
from drank.models.headers import StoredTensor
from drank.models.sources import SourceError
from drank.models.tensors import module_name, stored_tensors
from drank.runtime.files import read_json

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """A model directory whose tensors are read one at a time."""

    directory: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """The contents of config.json."""
        known: dict[str, Any] = read_json(self.directory / "config.json")
        return known

    @property
    def model_type(self) -> str:
        """The architecture's name, a key of `drank.models.families.FAMILIES` where drank can compress it."""
        return str(self.config["model_type"])

    @cached_property
    def family(self) -> Family:
        """The family, with the projections of this model."""
        return family_of(self.config)

    @property
    def layers(self) -> int:
        """The number of decoder blocks."""
        return layers_of(self.config)

    @cached_property
    def _tensors(self) -> dict[str, StoredTensor]:
        """Every tensor by the name it has in the model, whatever its file calls it."""
        return {module_name(self.model_type, name): tensor for name, tensor in stored_tensors(self.directory).items()}

    def _locate(self, layer: int, role: str) -> StoredTensor:
        name = module_path(self.model_type, layer, role) + ".weight"
        if name not in self._tensors:
            raise SourceError(
                f"{self.directory}: no tensor {name!r} among {len(self._tensors)}; the checkpoint does not fit its model_type"
            )
        if len(shape := self._tensors[name].shape) != 2:
            raise SourceError(f"{self.directory}: tensor {name!r} has the shape {shape} and should be a matrix; fetch the model again")
        return self._tensors[name]

    def matrix(self, layer: int, role: str) -> Tensor:
        """W of one projection, float64 (d1, d2) with y = x W, whichever way round it is stored."""
        transposed = next(projection.transposed for projection in self.family.projections if projection.role == role)
        values = read_tensors({role: self._locate(layer, role)})[role].double()
        return values if transposed else values.mT

    def block_state(self, layer: int) -> dict[str, Tensor]:
        """The state dict of one decoder block in its stored dtype, with each expert's matrices apart; names are relative to the block."""
        prefix = f"{self.family.blocks}.{layer}."
        state = {name.removeprefix(prefix): tensor for name, tensor in self._tensors.items() if name.startswith(prefix)}
        if not state:
            raise SourceError(f"{self.directory}: no tensor of block {layer}, of which config.json promises {self.layers}; fetch it again")
        return read_tensors(state)

    def other_state(self) -> dict[str, Tensor]:
        """Every tensor outside the decoder blocks by its full name in the model, in its stored dtype; a tied head is not among them."""
        return read_tensors({name: tensor for name, tensor in self._tensors.items() if not name.startswith(f"{self.family.blocks}.")})

    def group_matrix(self, shape: Shape) -> Tensor:
        """[W_1 … W_n] of a group, float64 (d1, n·d2)."""
        import torch

        return torch.cat([self.matrix(layer, shape.role) for layer in shape.layers], dim=1)

    def shapes(self, group: int) -> list[Shape]:
        """The groups of `group` consecutive layers for the roles that share a basis, of one layer for the others, by role.

        Where the number of layers is no multiple of `group` the last group is smaller. Raises ValueError where a group has matrices of
        different shapes.
        """
        shapes = []
        for projection in self.family.projections:
            role = projection.role
            size = group if kind_of(role) in self.family.grouped else 1
            sides = [self._locate(layer, role).shape for layer in range(self.layers)]
            for start in range(0, self.layers, size):
                members = tuple(range(start, min(start + size, self.layers)))
                if len({sides[layer] for layer in members}) > 1:
                    raise ValueError(f"{role}: layers {members} have matrices of different shapes, which share no basis; use group: 1")
                rows, columns = sides[start] if projection.transposed else sides[start][::-1]
                shapes.append(Shape(role, members, rows, columns))
        return shapes


def read_tensors(tensors: Mapping[str, StoredTensor]) -> dict[str, Tensor]:
    """The values of these tensors by the names given to them here; each file is opened once."""
    from safetensors import safe_open

    values = {}
    for path in dict.fromkeys(tensor.file for tensor in tensors.values()):
        with safe_open(path, framework="pt") as file:
            values.update({name: file.get_tensor(tensor.name) for name, tensor in tensors.items() if tensor.file == path})
    return values
