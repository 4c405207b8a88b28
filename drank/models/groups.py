"""Groups: the projections of a few layers that share one basis, their shape, and the rank that they are given."""

from __future__ import annotations

import math
from dataclasses import dataclass

from drank.models.families import kind_of
from drank.models.storage import STORAGES, Storage


@dataclass(frozen=True)
class Shape:
    """The matrix of a group, `[W_1 … W_n]` with `y = x W`: `rows` inputs, `columns` outputs for each of its `layers`.

    `storage` is the name of the form in which a matrix of lower rank is stored (`drank.models.storage`).
    """

    role: str
    layers: tuple[int, ...]
    rows: int
    columns: int
    storage: str = "factors"

    @property
    def name(self) -> str:
        """`q.02-03` for the Q projections of layers 2 and 3, `o.07` for a layer alone."""
        first, last = self.layers[0], self.layers[-1]
        return f"{self.role}.{first:02d}" if first == last else f"{self.role}.{first:02d}-{last:02d}"

    @property
    def kind(self) -> str:
        """The role without the number of the expert, `gate` of `gate.3`: budgets are per kind."""
        return kind_of(self.role)

    @property
    def width(self) -> int:
        """Columns of the whole group matrix, `n · d2`."""
        return self.columns * len(self.layers)

    @property
    def cost(self) -> int:
        """ω: the parameters that one rank of two factors costs, `d1 + n · d2`: the unit of published rules."""
        return self.rows + self.width

    @property
    def dense_parameters(self) -> int:
        """The parameters of the uncompressed matrices of the group."""
        return self.rows * self.width

    @property
    def max_rank(self) -> int:
        """The rank at which a product of factors is exact."""
        return min(self.rows, self.width)

    @property
    def form(self) -> Storage:
        """What its storage costs."""
        return STORAGES[self.storage]

    @property
    def break_even(self) -> float:
        """The rank at which as many numbers are stored as the matrices themselves hold."""
        return self.rank_of(self.dense_parameters)

    def parameters(self, rank: int) -> int:
        """The numbers that are stored at this rank, indices included."""
        return int(self.form.numbers(self.rows, self.width, rank))

    def rank_of(self, parameters: float) -> float:
        """The real rank that so many parameters buy."""
        return self.form.rank(self.rows, self.width, parameters)

    def rank_within(self, parameters: int) -> int:
        """The largest whole rank, 0 … `max_rank`, that stores at most so many numbers."""
        rank = min(self.max_rank, math.floor(self.rank_of(parameters)) + 1)  # a rounding error may have put it one too low
        while rank and self.parameters(rank) > parameters:
            rank -= 1
        return rank


@dataclass(frozen=True)
class Group:
    """One group of a plan: its shape, its effective rank and the rank it is given; `dense` where it is stored uncompressed."""

    shape: Shape
    effective_rank: float
    rank: int
    dense: bool = False

    @property
    def parameters(self) -> int:
        """The parameters that the group stores under this plan."""
        return self.shape.dense_parameters if self.dense else self.shape.parameters(self.rank)

    @property
    def past_break_even(self) -> bool:
        """Whether its rank stores at least as many numbers as the matrices that it replaces."""
        return self.rank >= self.shape.break_even
