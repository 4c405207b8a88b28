"""How config.json describes the low-rank modules of a compressed model, so that they can be rebuilt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from drank import __version__
from drank.models.groups import Group, Shape
from drank.models.storage import STORAGES

QUANT_METHOD = "drank (pip install drank, then import drank)"
"""The name under which transformers looks up who rebuilds a checkpoint: what programs without drank print as unknown to them."""

QUANT_METHODS = (QUANT_METHOD, "drank")
"""That name, and the one it had in older checkpoints."""


FORMAT, FORMATS = 2, (1, 2)
"""The version of what `describe` writes, and those that `described` reads: 1 has no storages, all its low-rank groups are two factors."""


class CheckpointError(ValueError):
    """A model directory that cannot be used: missing, truncated or corrupt files, or tensors that are not what its config says."""


def is_compressed(quantization: Any) -> bool:
    """Whether the `quantization_config` of a model says that drank compressed it."""
    method = quantization.get("quant_method") if isinstance(quantization, Mapping) else getattr(quantization, "quant_method", None)
    return method in QUANT_METHODS


def quantised_by(config: Mapping[str, Any]) -> str | None:
    """The quantiser that a config.json names; None for floating weights, among which those of drank's own checkpoints are."""
    quantization = config.get("quantization_config") or {}
    return None if not quantization or is_compressed(quantization) else str(quantization.get("quant_method", "unnamed"))


def describe(groups: Iterable[Group]) -> dict[str, Any]:
    """The `quantization_config` of config.json: all that is needed to rebuild the modules of a compressed model."""
    rows = [
        {
            "role": group.shape.role,
            "layers": list(group.shape.layers),
            "rows": group.shape.rows,
            "columns": group.shape.columns,
            "rank": group.rank,
            "dense": group.dense,
            "storage": group.shape.storage,
        }
        for group in groups
    ]
    return {"quant_method": QUANT_METHOD, "format": FORMAT, "drank_version": __version__, "groups": rows}


def described(config: Mapping[str, Any]) -> tuple[Group, ...]:
    """The groups that `describe` wrote; effective ranks are not part of a checkpoint (its plan.json has them) and come back as NaN.

    Raises CheckpointError for another format or a malformed group.
    """
    if config.get("format") not in FORMATS:
        raise CheckpointError(
            f"checkpoint format {config.get('format')!r}, written by drank {config.get('drank_version', 'unknown')}, is none of the "
            f"formats {FORMATS[0]} to {FORMAT} that drank {__version__} reads; install the drank that wrote it, or rerun `compress`"
        )
    try:
        return tuple(
            Group(_shape(row, row["storage"] if config["format"] > 1 else "factors"), math.nan, row["rank"], row["dense"])
            for row in config["groups"]
        )
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"the groups in config.json are malformed ({error!r}); rerun `compress`") from error


def _shape(row: Mapping[str, Any], storage: str) -> Shape:
    """The shape in a row; raises KeyError for a storage that is none."""
    if storage not in STORAGES:
        raise KeyError(storage)
    return Shape(row["role"], tuple(row["layers"]), row["rows"], row["columns"], storage)
