"""A rank plan: how many singular directions each group of projections keeps, as a small JSON file a person can read and diff."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from drank.models.groups import Group, Shape


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

    def by_place(self) -> dict[tuple[int, str], Group]:
        """The group of every projection, by its layer and role."""
        return {(layer, group.shape.role): group for group in self.groups for layer in group.shape.layers}

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
                Shape(row["role"], tuple(row["layers"]), row["rows"], row["columns"], row["storage"]),
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
