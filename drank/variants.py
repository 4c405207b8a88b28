"""Variants: a method of a run with other values on some axes, and how the two are told by one label, as in `d-rank+group=3+draw=42`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CALIBRATION_AXES = {"corpus": "corpus", "draw": "seed", "windows": "windows"}
"""The axes of the text that a method is calibrated on, each with the key of the section `calibration` that it sets."""

SYMBOLS = {"group": "n =", "beta": "β =", "corpus": "on", "draw": "draw", "windows": "windows"}
"""Axes that are printed other than they are written."""


def variant(label: str, values: Mapping[str, Any]) -> str:
    """The label of a method with these values, by axis; it is the name of a file, and no label of a configuration has a plus in it."""
    return label + "".join(f"+{axis}={written(value)}" for axis, value in values.items())


def by_axis(calibration: Mapping[str, Any]) -> dict[str, Any]:
    """What a calibration sets, by the axes that it stands on; a key without an axis of its own goes by its name."""
    axes = {key: axis for axis, key in CALIBRATION_AXES.items()}
    return {axes.get(key, key): calibration[key] for key in sorted(calibration)}


def written(value: Any) -> str:
    """A value as it stands in a label: fractions by six digits, truth values and nothing as YAML writes them."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}".replace("e+", "e") if isinstance(value, float) else str(value)


def base_of(label: str) -> str:
    """The method, as the configuration calls it, of which a label names a variant; of any other label itself."""
    return label.partition("+")[0]


def values_in(label: str) -> dict[str, str]:
    """The values of a variant by axis, as they are written; nothing for a label that is none."""
    return {axis: value for axis, _, value in (part.partition("=") for part in label.split("+")[1:])}


def without(label: str, *axes: str) -> str:
    """The label that is left of a variant without its values on these axes."""
    return variant(base_of(label), {axis: value for axis, value in values_in(label).items() if axis not in axes})


def is_variant(label: str) -> bool:
    """Whether a label names a variant of a method."""
    return "+" in label


def said(label: str) -> str:
    """The values of a variant in print: `n = 3, draw 42`; empty for a label that is none."""
    return ", ".join(f"{SYMBOLS.get(axis, axis.replace('_', ' '))} {value}" for axis, value in values_in(label).items())
