"""What a low-rank layer of vLLM stores of each projection that it is made of, and how tensors of a checkpoint come there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from drank.models.description import CheckpointError
from drank.models.serving.places import Place

SHARDS = {"q": 0, "k": 1, "v": 2}
"""Which part of a layer vLLM's letters name; elsewhere it numbers them."""


class Held(nn.Module):
    """A matrix under the name that vLLM's ways of multiplying look for."""

    def __init__(self, matrix: Tensor) -> None:
        """Hold a matrix, (outputs, inputs)."""
        super().__init__()
        self.weight = nn.Parameter(matrix, requires_grad=False)


class Part(nn.Module):
    """One projection of a layer as this process holds it.

    `columns` are its outputs here, `inputs` (first, end) the inputs that this process reads. A low-rank one has `coefficients`, and where
    it is the first of its group the `basis`, with `pivots` where it is pivoted; a dense one has `matrix`. The bias of a `biased` one is
    the layer's.
    """

    pivots: Tensor
    basis: Held

    def __init__(
        self, place: Place | None, name: str, columns: int, inputs: tuple[int, int], dtype: torch.dtype, biased: bool = False
    ) -> None:
        """Make room for what comes."""
        super().__init__()
        self.place, self.name, self.columns, self.inputs, self.biased = place, name, columns, inputs, biased
        self.seen: set[str] = set()
        self.low_rank = place is not None and not place.group.dense
        if not self.low_rank or place is None:
            self.matrix = Held(torch.empty(columns, inputs[1] - inputs[0], dtype=dtype))
            return
        shape, self.rank = place.group.shape, place.group.rank
        self.pivoted, self.owns_basis = shape.form.pivots, place.owner == place.path
        self.coefficients = Held(torch.empty(columns, self.rank, dtype=dtype))
        if self.owns_basis:
            self.basis = Held(torch.empty(self.rank, shape.rows - self.rank * self.pivoted, dtype=dtype))
            if self.pivoted:
                self.pivots = nn.Parameter(torch.zeros(self.rank, dtype=torch.int32), requires_grad=False)

    def expected(self) -> dict[str, tuple[int, ...]]:
        """The tensors that a checkpoint must have for this part, with their shapes there."""
        if not self.low_rank or self.place is None:
            return {"weight": ()}
        shape = self.place.group.shape
        shapes: dict[str, tuple[int, ...]] = {"coefficients.weight": (shape.columns, self.rank)}
        if self.owns_basis:
            shapes["basis.weight"] = tuple(self.basis.weight.shape)
            if self.pivoted:
                shapes["pivots"] = (self.rank,)
        if self.biased:
            shapes["coefficients.bias"] = (shape.columns,)
        return shapes

    def take(self, kind: str, tensor: Tensor, outputs: Callable[[int, Tensor], Tensor]) -> None:
        """Store a tensor of a checkpoint; `outputs` gives the rows of one that are this process's, in a matrix of so many columns.

        A bias is seen, and the layer's to store. Raises CheckpointError for a tensor that this part has no use for, or that has another
        shape.
        """
        if kind == "weight" and self.low_rank:  # what keeps the model from being read as a dense one
            if tensor.numel():
                raise CheckpointError(f"{self.name}.weight is a dense matrix, config.json says that this projection is low-rank")
            return
        expected = self.expected()
        if kind not in expected:
            if kind == "coefficients.bias":
                raise CheckpointError(f"{self.name} has a bias in the checkpoint, and none in vLLM's model of this family")
            raise CheckpointError(f"{self.name}.{kind} is in the checkpoint, config.json does not promise it")
        if expected[kind] and tuple(tensor.shape) != expected[kind]:
            raise CheckpointError(f"{self.name}.{kind} has the shape {list(tensor.shape)}, config.json promises {list(expected[kind])}")
        if kind == "weight":
            self.matrix.weight.data.copy_(outputs(self.matrix.weight.shape[1], tensor))
        elif kind == "coefficients.weight":
            self.coefficients.weight.data.copy_(outputs(self.rank, tensor))
        elif kind != "coefficients.bias":
            (self.pivots if kind == "pivots" else self.basis.weight).data.copy_(tensor)
        self.seen.add(kind)

    def missing(self) -> Iterator[str]:
        """The names of tensors that did not come."""
        yield from (f"{self.name}.{kind}" for kind in self.expected() if kind not in self.seen)


def index_of(shard: Any, parts: Sequence[Part]) -> int:
    """Which part of a layer a shard of vLLM's is; raises CheckpointError where there is no such part."""
    index = SHARDS.get(shard, shard) if shard is not None else 0
    if not isinstance(index, int) or not 0 <= index < len(parts):
        raise CheckpointError(f"vLLM sends shard {shard!r} to a layer of {', '.join(part.name for part in parts)}")
    return index
