"""Which dense models cannot be rounded as a configuration asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drank.methods import Method
from drank.models.rounding import refusal
from drank.models.sources import SourceError, directory_of
from drank.models.theirs import rounds
from drank.models.weights import Checkpoint


def unfit(source: Mapping[str, Any], methods: Mapping[str, Method]) -> dict[str, str]:
    """Why the dense model of a source cannot be rounded as these methods say, by label; nothing where it is not here, or not sound."""
    try:
        dense = Checkpoint(directory_of(source))
        blocks = {label: method.checkpoint["block"] for label, method in methods.items() if method.checkpoint and rounds(method.checkpoint)}
        return {label: reason for label, block in blocks.items() if (reason := refusal(dense, block))}
    except (SourceError, OSError, KeyError, ValueError):
        return {}  # `check` tells what is wrong with a model that should be here
