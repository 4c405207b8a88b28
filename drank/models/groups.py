"""Groups: the projections of a few layers that share one basis, their shape, and the rank that they are given."""

from __future__ import annotations

from dataclasses import dataclass

from drank.models.families import kind_of


@dataclass(frozen=True)
class Shape:
    """The matrix of a group, `[W_1 … W_n]` with `y = x W`: `rows` inputs, `columns` outputs for each of its `layers`."""

    role: str
    layers: tuple[int, ...]
    rows: int
    columns: int

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
        """ω: the parameters that one rank costs, `d1 + n · d2`."""
        return self.rows + self.width

    @property
    def dense_parameters(self) -> int:
        """The parameters of the uncompressed matrices of the group."""
        return self.rows * self.width

    @property
    def max_rank(self) -> int:
        """The rank at which the factors are exact."""
        return min(self.rows, self.width)

    @property
    def break_even(self) -> float:
        """The rank at which the factors hold as many parameters as the matrices themselves."""
        return self.dense_parameters / self.cost


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
        return self.shape.dense_parameters if self.dense else self.rank * self.shape.cost

    @property
    def past_break_even(self) -> bool:
        """Whether the factors hold at least as many parameters as the matrices they replace."""
        return self.rank >= self.shape.break_even
