"""How a matrix of rank k is stored, and what that costs: two factors, or their pivoted form, which holds k² numbers less.

For any invertible M, `B C = (B M)(M⁻¹ C)`: two factors hold k² numbers that say nothing. The pivoted form takes M = B_I⁻¹ for k rows I
of B, which are then the identity and are not stored: PIFA (arXiv:2501.19090), PivGa (arXiv:2512.03062), FlexRank (arXiv:2602.02680).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Storage:
    """What rank k of a d1 × D matrix costs: `k (d1 + D)` numbers, or with `pivots` k² fewer and an index for each pivot.

    One that is not `past_break_even` has no form which holds no fewer numbers than the matrix: such a matrix is stored dense.
    """

    pivots: bool
    past_break_even: bool

    def numbers(self, rows: int, width: int, rank: float) -> float:
        """What is stored at this rank, indices included; whole for a whole rank, and rising up to full rank."""
        return rank * (rows + width + self.pivots * (1 - rank))

    def rank(self, rows: int, width: int, numbers: float) -> float:
        """The real rank that so many numbers buy."""
        first = rows + width + self.pivots
        return 2 * numbers / (first + math.sqrt(max(0.0, first**2 - 4 * self.pivots * numbers)))


STORAGES = {"factors": Storage(pivots=False, past_break_even=True), "pivoted": Storage(pivots=True, past_break_even=False)}
"""The storages by name."""
