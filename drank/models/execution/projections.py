"""Projections that read one input: their bases as one product, and their pivots by one gather, for each storage.

Modules here call the `forward` of their parts: a call of a module takes microseconds, of which decoding a small model has no more than
hundreds for a projection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from drank.models.execution.product import Product
from drank.models.lowrank import LowRankLinear, PivotedLinear


class Bases(nn.Module):
    """What the projections that read one input make of it first: `x B` of each, (…, k), from one product with all bases.

    The first of them that is called with an input computes the parts of all, and each takes its own, so that nothing is kept once all have;
    one that is called with another input, or again, is given what it needs all the same: several threads may call at once, each with its
    own input, and get what is theirs. Not for an input that is changed in place between them.
    """

    def __init__(self, members: Sequence[LowRankLinear]) -> None:
        """Take over the bases of the members, which own them or borrow them from one owner each."""
        super().__init__()
        self.ranks = [member.rank for member in members]
        self._held: list[Any] = [None, []]  # an input, and of its parts those that are not taken yet
        self._take(members)

    def _take(self, members: Sequence[LowRankLinear]) -> None:
        self.product = Product.of(_joined([member.basis.weight for member in members]))

    def forward(self, x: Tensor) -> Sequence[Tensor]:
        """The part of each member, in order."""
        parts = self.product.forward(x)
        return parts.split(self.ranks, dim=-1) if len(self.ranks) > 1 else (parts,)

    def part(self, place: int, x: Tensor) -> Tensor:
        """The part of the member at this place."""
        if len(self.ranks) == 1:
            return self.forward(x)[0]
        seen, parts = self._held  # read once, for another thread may put an input of its own there at any time
        part: Tensor | None = parts[place] if seen is x else None
        if part is None:
            parts = [*self.forward(x)]
            part = parts[place]
            self._held[:] = x, parts
        parts[place] = None
        if all(other is None for other in parts):
            self._held[:] = None, []
        return part


class PivotedBases(Bases):
    """The same in pivoted form: `x_I + x_Ī N` of each. One gather puts the input in the orders of all, one after another.

    Where the input comes `ordered`, of a single member, there is none.
    """

    order: Tensor
    ordered = False

    def _take(self, members: Sequence[LowRankLinear]) -> None:
        pivoted = [cast("PivotedLinear", member) for member in members]
        self.products = nn.ModuleList(
            Product.of(one.basis.weight) if one.basis.in_features else nn.Identity() for one in pivoted
        )  # full rank
        self.register_buffer("order", _joined([member.order for member in pivoted]), persistent=False)

    def forward(self, x: Tensor) -> Sequence[Tensor]:
        """The part of each member, in order."""
        width = x.shape[-1]
        entries = x if self.ordered else x.gather(-1, self.order.expand(*x.shape[:-1], -1))
        parts = []
        for place, (rank, product) in enumerate(zip(self.ranks, self.products, strict=True)):
            own = entries[..., place * width : (place + 1) * width]
            parts.append(own[..., :rank] + product.forward(own[..., rank:]) if rank < width else own)
        return parts


BASES: dict[type[LowRankLinear], type[Bases]] = {LowRankLinear: Bases, PivotedLinear: PivotedBases}
"""What runs the bases of each kind of module."""


class Projection(nn.Module):
    """A low-rank projection that is run: `coefficients(part)`, the part taken from the `Bases` that it may have with others."""

    def __init__(self, member: LowRankLinear, bases: Bases, place: int) -> None:
        """Stand in for a low-rank module whose basis `bases` has taken over at this place."""
        super().__init__()
        self.in_features, self.out_features, self.rank = member.in_features, member.out_features, member.rank
        self.bases, self.place = bases, place
        self.coefficients = Product.of(member.coefficients.weight, member.bias)
        self.register_buffer("weight", member.weight, persistent=False)  # tells dtype and device to whoever asks a projection's weight
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(…, d1) to (…, d2)."""
        return self.coefficients.forward(self.bases.part(self.place, x))

    def extra_repr(self) -> str:
        """Sizes, and how many share the bases."""
        return f"in_features={self.in_features}, out_features={self.out_features}, rank={self.rank}, of={len(self.bases.ranks)}"


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    """One tensor of all, one after another; a single one as it is."""
    return tensors[0] if len(tensors) == 1 else torch.cat([tensor.detach() for tensor in tensors])
