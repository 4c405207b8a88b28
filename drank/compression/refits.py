"""The refits that the dense model tells, by the name that the option `refit` has for them."""

from __future__ import annotations

from collections.abc import Callable

from drank.compression.anchoring import anchor
from drank.compression.compensation import compensate

TOLD: dict[str, Callable[..., None]] = {"compensated": compensate, "anchored": anchor}
"""All are called alike: with the compressed model, the dense one, plan, spectra, windows, batch, and the share a of the target."""
