"""Axes of a table: what runs stand on, in which order their values come and how they are printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from drank.reporting.material import IDENTITY, Material
from drank.reporting.names import method_name, percent
from drank.variants import said, variant

Key = tuple[Any, ...]
"""The values of several axes, None where a run stands on no value of one."""

HEADS = {"model": "Model", "method": "Method", "label": "Method", "ratio": "Ratio", "dataset": "Data set"}
"""The headers of row axes whose values do not name their axis."""

_PRINTED: Mapping[str, Callable[[Any], str]] = {
    "model": str,
    "method": method_name,
    "label": method_name,
    "ratio": percent,
    "dataset": str,
}


def known(material: Material) -> tuple[str, ...]:
    """The axes that the numbers of a material stand on: those of every run, the data set, and those of the artefact."""
    return (*IDENTITY, "dataset", *material.axes)


def plain(value: Any) -> Any:
    """A value of a data frame as Python has it; None where it is missing."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value


def printed(axis: str, value: Any) -> str:
    """A value in print: names and percents as they are, others with the symbol of their axis (`n = 3`); empty where there is none."""
    if value is None:
        return ""
    return _PRINTED[axis](value) if axis in _PRINTED else said(variant("", {axis: value}))


def ordered(values: Iterable[Any]) -> list[Any]:
    """The values once each: a missing one first, numbers by size, others in the order of their first appearance."""
    found = list(dict.fromkeys(values))
    present = [value for value in found if value is not None]
    numbers = all(isinstance(value, int | float) for value in present)
    return [None] * (None in found) + (sorted(present) if numbers else present)
