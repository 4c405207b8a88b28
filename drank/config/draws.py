"""Several draws of the calibration text: each run that reads it once more for each further seed, as a variant on the axis `draw`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from drank.config.grids import in_order
from drank.config.resolved import calibration_options
from drank.methods import Method
from drank.variants import base_of, values_in, variant

Cell = tuple[str, str, str]
"""Model, label and ratio of a run, as they stand in paths."""

AXIS = "draw"

MEASURED = ("perplexity", "zeroshot")
"""What is measured of every draw; a draw changes no speed."""


def drawn(
    config: Mapping[str, Any], methods: Mapping[str, dict[str, Method]], wanted: dict[Cell, dict[str, list[str]]]
) -> dict[Cell, list[Cell]]:
    """By run the further draws of it that `calibration: draws` asks for, entered into `methods` and into what is `wanted` of each run.

    Controls, runs that read no calibration text, and those that a grid draws itself have none.
    """
    found: dict[Cell, list[Cell]] = {}
    for cell, mine in list(wanted.items()) if config.get("calibration", {}).get("draws", 1) > 1 else ():
        model, label, ratio = cell
        method = methods[model][label]
        if method.control or AXIS in values_in(label) or not method.at(float(ratio)).reads_calibration or not any(map(mine.get, MEASURED)):
            continue
        seed = calibration_options(config, method.calibration)["seed"]
        for other in range(seed + 1, seed + config["calibration"]["draws"]):
            values: dict[str, Any] = {**values_in(label), AXIS: other}
            name = variant(base_of(label), {axis: values[axis] for axis in in_order(values)})
            methods[model].setdefault(name, replace(method, calibration={**(method.calibration or {}), "seed": other}))
            there = wanted.setdefault((model, name, ratio), {kind: [] for kind in mine})
            for kind in MEASURED:
                there[kind] += [one for one in mine[kind] if one not in there[kind]]
            found.setdefault(cell, []).append((model, name, ratio))
    return found
