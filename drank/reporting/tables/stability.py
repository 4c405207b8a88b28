"""How much effective ranks, plan and perplexity hang on the calibration text, on how much of it, and on the draw."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

import pandas as pd

from drank.reporting.material import Material
from drank.reporting.names import number
from drank.reporting.tables.artefact import table_of, wanted
from drank.reporting.tables.axes import HEADS, printed
from drank.reporting.tables.calibrated import Calibrated, calibrated
from drank.reporting.tables.layout import MISSING, Cell, Column, Table
from drank.reporting.tables.numbers import Value
from drank.reporting.tables.quantities import difference

NATS = difference(digits=3)
"""A difference in nats with its interval below."""


def stability(material: Material) -> Table:
    """The table of `calibrated`: a block for each model, method and ratio, a row for each calibration; ValueError as there."""
    found, datasets = list(calibrated(material)), wanted(material, "perplexity")
    told = [head for head in (found[0].place if found else {}) if len({one.place[head] for one in found}) > 1]
    axes = list(found[0].calibration) if found else []
    columns = [Column(HEADS.get(head, ""), align="l") for head in told] + [Column("", align="l")] * len(axes)
    columns += [Column("effective rank (%)", "Change of"), Column("plan (%)", "Change of")]
    for dataset in datasets:
        columns += [Column("perplexity", dataset), Column("nats", dataset)]
    blocks = []
    for place, block in groupby(found, key=lambda one: one.place):
        heads = [Cell(printed(head, place[head])) for head in told]
        blocks.append([(*(heads if not index else [Cell("")] * len(heads)), *_cells(one, datasets)) for index, one in enumerate(block)])
    caption = "Calibration against the reference: median change of an effective rank, parameters that the plan moves to other groups as a "
    caption += "share of all, and perplexity with the difference to the reference in nats per token, with its paired 95\u202f% interval."
    if not found:
        caption = f"Nothing to show of {', '.join(material.models)}: no run stands on another calibration."
    return table_of(material, caption, columns, blocks, pd.DataFrame([_numbers(one) for one in found]))


def _cells(one: Calibrated, datasets: list[str]) -> list[Cell]:
    """The cells of a row from its calibration on."""
    cells = [Cell(printed(axis, value)) for axis, value in one.calibration.items()]
    cells += [MISSING if math.isnan(share) else Cell(number(100 * share, 1)) for share in (one.rank_change, one.moved)]
    for name in datasets:
        cells += [Cell(number(one.perplexity[name])), Cell("reference") if one.is_reference else NATS(Value(*one.nats[name]))]
    return cells


def _numbers(one: Calibrated) -> dict[str, Any]:
    """The numbers of a row."""
    numbers = {**one.place, **one.calibration, "reference": one.is_reference, "rank_change": one.rank_change, "moved": one.moved}
    for name, gap in one.nats.items():
        numbers |= {f"perplexity {name}": one.perplexity[name]}
        numbers |= {f"nats {name}": gap.value, f"nats {name} ci_low": gap.low, f"nats {name} ci_high": gap.high}
    return numbers
