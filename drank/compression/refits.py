"""The refits that the dense model tells, by the name that the option `refit` has for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from drank.compression.anchoring import anchor
from drank.compression.compensation import compensate

if TYPE_CHECKING:
    from torch import Tensor

TOLD: dict[str, Callable[..., list[Tensor]]] = {"compensated": compensate, "anchored": anchor}
"""All are called alike: with the compressed model, the dense one, plan, spectra, windows, batch, and the share a of the target.

They give what leaves the last block of the dense model, one tensor (tokens, d) for each window."""
