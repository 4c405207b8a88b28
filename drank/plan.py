"""A rank plan: how many singular directions each group of projections keeps, as a small JSON file a person can read and diff."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from drank.families import kind_of


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


@dataclass(frozen=True)
class Plan:
    """The ranks of every group of a model for one method and ratio, with the settings and the calibration that made them."""

    model: str
    method: str
    ratio: float
    settings: dict[str, Any]
    groups: tuple[Group, ...]
    calibration: dict[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """The parameters of all compressed projections under this plan, shared bases once."""
        return sum(group.parameters for group in self.groups)

    @property
    def dense_parameters(self) -> int:
        """The parameters of the same projections uncompressed."""
        return sum(group.shape.dense_parameters for group in self.groups)

    def to_json(self) -> str:
        """The plan as JSON text, one line per group."""
        head = {"model": self.model, "method": self.method, "ratio": self.ratio, "settings": self.settings}
        head |= {"calibration": self.calibration}
        head |= {"parameters": self.parameters, "dense_parameters": self.dense_parameters}
        rows = [
            {
                "group": group.shape.name,
                **asdict(group.shape),
                "rank": group.rank,
                "effective_rank": group.effective_rank,
                "cost": group.shape.cost,
                "break_even": round(group.shape.break_even, 3),
                "past_break_even": group.past_break_even,
                "dense": group.dense,
            }
            for group in self.groups
        ]
        lines = ",\n  ".join(json.dumps(row) for row in rows)
        return f'{json.dumps(head, indent=1)[:-2]},\n "groups": [\n  {lines}\n ]\n}}\n'

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that `to_json` wrote."""
        data = json.loads(text)
        groups = tuple(
            Group(
                Shape(row["role"], tuple(row["layers"]), row["rows"], row["columns"]),
                row["effective_rank"],
                row["rank"],
                row["dense"],
            )
            for row in data["groups"]
        )
        return cls(data["model"], data["method"], data["ratio"], data["settings"], groups, data["calibration"])

    @classmethod
    def read(cls, path: str | Path) -> Plan:
        """The plan in a file."""
        return cls.from_json(Path(path).read_text("utf-8"))
