"""The pivot of whatever runs and axes: every number stands in one cell, alone or in one mean."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drank.reporting.material import Material
from drank.reporting.names import number
from drank.reporting.summary import COLUMNS
from drank.reporting.tables.pivot import pivot
from drank.variants import variant

AXES = ["method", "ratio", "group", "draw", "dataset"]


@st.composite
def materials(draw):
    """Numbers at some points of a grid, and axes of a table that tell them apart."""
    points = [
        {"model": "m", "method": method, "ratio": ratio, "group": group, "draw": seed, "dataset": dataset}
        for method in ("svd-llm", "d-rank", "random-ranks")
        for ratio in (0.2, 0.4)
        for group in ((None,) if method == "svd-llm" else (2, 3))
        for seed in (13, 42)
        for dataset in ("one", "two")
    ]
    kept = draw(st.lists(st.sampled_from(points), unique_by=lambda point: tuple(point.values()), min_size=1))
    kept = [{"model": "m", "method": "dense", "ratio": 0.0, "group": None, "draw": None, "dataset": "one"}, *kept]
    rows = []
    for point in kept:
        values = {axis: point[axis] for axis in ("group", "draw") if point[axis] is not None}
        number = draw(st.floats(1, 900, allow_nan=False))
        rows.append(
            {
                **{name: "" if kind == "str" else math.nan for name, kind in COLUMNS.items()},
                **point,
                "label": variant(point["method"], values),
                "metric": "perplexity",
                "value": number,
            }
        )
    order = draw(st.permutations(AXES))
    over = draw(st.sampled_from([None, "draw"]))
    placed = [axis for axis in order if axis != over]
    cut = placed.index("method") + 1  # a run without a value on an axis is told from others by its method
    options = {"rows": placed[:cut], "columns": placed[cut:]} | ({"over": over} if over else {})
    return Material("a", pd.DataFrame(rows), ("group", "draw"), options=options)


@settings(max_examples=150, deadline=None)
@given(materials())
def test_every_number_is_in_one_cell_or_in_one_mean(material):
    table, numbers, placed = pivot(material), material.numbers, [*material.options["rows"], *material.options["columns"]]
    assert table.frame["count"].sum() == len(numbers)
    for _, row in table.frame.iterrows():
        same = pd.Series(data=True, index=numbers.index)
        for axis in placed:
            same &= (numbers[axis] == row[axis]) if axis in row and pd.notna(row[axis]) else numbers[axis].isna()
        assert row["value"] == pytest.approx(numbers.loc[same, "value"].mean(), rel=1e-12)
    heads = len(material.options["rows"])
    cells = [cell.text for block in table.blocks for row in block for cell in row[heads:] if cell.text not in ("", "–")]
    assert sorted(cells) == sorted(number(value, 2) for value in table.frame["value"])
    assert all(len(row) == len(table.columns) for block in table.blocks for row in block)
