"""How much text a calibration has for the width of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEAST = 40
"""Tokens a channel of the widest input below which moments fit the text rather than the language."""


def tokens_per_channel(text: Mapping[str, Any], width: int) -> float:
    """The tokens of `windows` windows of `length` tokens for each of the channels of an input."""
    return float(text["windows"] * text["length"] / width)
