"""The roofline: what a phase must read and multiply, and the least time that the ceilings of a machine allow it (Williams et al., 2009)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drank.evaluation.ceilings import PRODUCT, READ


@dataclass(frozen=True)
class Work:
    """The operations that weights take part in during a phase, two for each multiplication, and the bytes it reads at least."""

    operations: int
    bytes: int

    def least_seconds(self, ceilings: Mapping[str, float]) -> float:
        """The time that reading or multiplying takes at these rates, whichever takes longer."""
        return max(self.bytes / ceilings[READ], self.operations / ceilings[PRODUCT])
