"""Sums of products over tokens, in float64: XᵀX and Σ|x| of rows that come in batches.

Of an input's first tokens, twice as many as it has features, the products are float64 too: XᵀX of few tokens lacks rank, and noise must
not hide that. Of what follows, products of up to 256 tokens are summed in float32 before, or in float64 where the model is. Sums over a
part of a text are told how many tokens stand before it, and so choose for each token as one pass over the whole text does. What an
expert reads hangs on the router, and nobody can tell how many of its tokens come before a part: its products are float64 throughout.

Against float64 throughout, with such sums from the first token on, on the embedded model in float32 with 8,192 tokens: every entry of
XᵀX is within 2.4e-7 of the scale of its two features (rounding the activations themselves gives 0.5e-7), every λ within 1.5e-8 of their
sum and 1.5e-5 of itself, the energy beyond half the full rank within 2.5e-7 of itself, and the weighted error of the factors of that rank
within 5e-11.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from drank.models.families import Projection
from drank.models.forward import wide

if TYPE_CHECKING:
    from torch import Tensor

TOKENS_A_PRODUCT = 256
"""Rows whose products are summed in float32 before they join the float64 sum."""

SCARCE = 2
"""Tokens, as a multiple of an input's features, up to which products are float64."""

PANEL = 256
"""Columns of XᵀX computed at once: of each panel only the part on and above the diagonal."""


class Sums:
    """XᵀX and Σ|x| over the tokens (rows) that were added, both float64."""

    def __init__(self, width: int, device: Any, before: float = 0) -> None:
        """Zeros for rows of `width` features; `before` is how many tokens of the text stand before those that will be added."""
        import torch

        self._gram = torch.zeros(width, width, dtype=torch.float64, device=device)
        self._scarce = SCARCE * width - before
        self.absolute = torch.zeros(width, dtype=torch.float64, device=device)
        self.tokens = 0

    @property
    def scarce(self) -> bool:
        """Whether products of the next rows have to be float64."""
        return self.tokens < self._scarce

    def add(self, rows: Tensor) -> None:
        """Count rows (tokens, width) in."""
        for chunk in wide(rows).split(TOKENS_A_PRODUCT):
            if self.scarce:
                chunk = chunk.double()
            self.tokens += len(chunk)
            self.absolute += chunk.abs().sum(0)
            add_products(self._gram, chunk)

    def gram(self) -> Tensor:
        """XᵀX, (width, width), exactly symmetric; not a copy."""
        return mirrored(self._gram)


def add_products(gram: Tensor, rows: Tensor) -> None:
    """Add XᵀX of rows (tokens, width) to the panels on and above the diagonal of a matrix (width, width); what is below is not kept up."""
    for start in range(0, rows.shape[1], PANEL):
        gram[start : start + PANEL, start:] += rows[:, start : start + PANEL].mT @ rows[:, start:]


def mirrored(gram: Tensor) -> Tensor:
    """The matrix that `add_products` has added to, made exactly symmetric in place; more can be added, and mirrored again."""
    for start in range(0, len(gram), PANEL):
        stop = start + PANEL
        corner = gram[start:stop, start:stop]
        corner.copy_(corner.triu() + corner.triu(1).mT)
        gram[stop:, start:stop] = gram[start:stop, stop:].mT
    return gram


def tokens_before(projection: Projection, before: int) -> float:
    """What `Sums` are told of a projection's tokens where `before` tokens of the text stand before a part of it."""
    return -math.inf if projection.routed else before
