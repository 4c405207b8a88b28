"""The low-rank layers that vLLM has built of a model in this process: who reads whose basis, and whether all has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from drank.models.description import CheckpointError
from drank.models.serving.bases import Basis, Joined
from drank.models.serving.places import Place, torn_apart


@dataclass
class Built:
    """The layers by their paths; `transposed` tells that vLLM turns around the matrices of a checkpoint, as it does for GPT-2."""

    layers: dict[str, Any] = field(default_factory=dict)
    transposed: bool = False
    complete: bool = False

    def joins(self, layer: Any) -> bool:
        """Whether the bases of a layer that has them are one product: there are several, and who reads one reads all, in this order."""
        owners = [part.place.owner for part in layer.parts if part.low_rank]
        readers = [[part.place.owner for part in other.parts if part.low_rank] for other in self.layers.values()]
        return len(owners) > 1 and all(read == owners for read in readers if set(read) & set(owners))

    def reader_of(self, place: Place) -> Basis | Joined:
        """What applies the basis that a projection reads; raises UnservableError where this process does not have it."""
        for layer in self.layers.values():
            for index, part in enumerate(layer.parts):
                if part.low_rank and part.place.path == place.owner:
                    return layer.joined or layer.bases[str(index)]
        raise torn_apart([place.group.shape.name])

    def refuse_missing(self) -> None:
        """Raise CheckpointError with all tensors that did not come; called when all have been read."""
        if not self.complete and (names := [name for layer in self.layers.values() for part in layer.parts for name in part.missing()]):
            raise CheckpointError(f"{len(names)} tensors are missing from the checkpoint; fetch it again: {', '.join(sorted(names))}")
        self.complete = True
