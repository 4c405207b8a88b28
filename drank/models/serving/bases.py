"""How a low-rank layer of vLLM reads its inputs: through bases, each in one product, or several that read the same in one together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drank.models.description import CheckpointError
from drank.models.serving.parts import Held, Part

Multiply = Callable[[Held, Tensor], Tensor]
"""vLLM's way of multiplying inputs by a matrix that is held, on the processor that it runs on."""


class Basis(nn.Module):
    """A basis as this process applies it: `x B`, or `x_I + x_Ī N` where it is pivoted."""

    def __init__(self, stored: Part) -> None:
        """Take what a part stores of the inputs of this process, and leave nothing there; raises CheckpointError for bad pivots.

        With its inputs shared out, a pivot that is another process's is the number past the last input, where `forward` puts a zero: what
        the processes compute adds up, for a basis is linear.
        """
        super().__init__()
        (first, end), weight = stored.inputs, stored.basis.weight.data
        self.pivoted, self.beyond = stored.pivoted, False
        self.chosen: Tensor | None = None
        self.others: Tensor | None = None
        if not stored.pivoted:
            self.held = Held(weight[:, first:end].contiguous())
        else:
            pivots, free = _divided(stored)
            here = (free >= first) & (free < end)
            own = (pivots >= first) & (pivots < end)
            self.beyond = not bool(own.all())
            self.held = Held(weight[:, here].contiguous())
            self.chosen, self.others = torch.where(own, pivots - first, end - first), free[here] - first
        stored.basis.weight.data = weight.new_empty(0)

    def forward(self, x: Tensor, multiply: Multiply) -> tuple[Tensor, ...]:
        """(…, inputs) to one (…, rank)."""
        if self.chosen is None or self.others is None:
            return (multiply(self.held, x),)
        chosen = torch.index_select(F.pad(x, (0, 1)) if self.beyond else x, -1, self.chosen)
        return (chosen + multiply(self.held, torch.index_select(x, -1, self.others)) if len(self.others) else chosen,)


class Joined(nn.Module):
    """Bases that read the same inputs, as one product."""

    def __init__(self, bases: Sequence[Basis]) -> None:
        """Take the matrices of bases without pivots."""
        super().__init__()
        self.ranks = [len(basis.held.weight) for basis in bases]
        self.held = Held(torch.cat([basis.held.weight.data for basis in bases]))

    def forward(self, x: Tensor, multiply: Multiply) -> tuple[Tensor, ...]:
        """(…, inputs) to (…, rank) for each basis."""
        return multiply(self.held, x).split(self.ranks, dim=-1)


def _divided(stored: Part) -> tuple[Tensor, Tensor]:
    """The pivots of a part, and the other inputs in their order; raises CheckpointError where they are not different inputs."""
    pivots, rows = stored.pivots.long(), stored.rank + stored.basis.weight.shape[1]
    if len(pivots.unique()) < stored.rank or int(pivots.min()) < 0 or int(pivots.max()) >= rows:
        raise CheckpointError(f"{stored.name}.pivots are not {stored.rank} different inputs of {rows}; the file is corrupt: fetch it again")
    free = torch.ones(rows, dtype=torch.bool, device=pivots.device)
    free[pivots] = False
    return pivots, free.nonzero().flatten()
