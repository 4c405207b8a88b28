"""The pivot: the layouts of the paper's tables, every number in one place, and what two in one place are told."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from drank.reporting.tables.pivot import pivot
from drank.variants import variant
from tests.unit.artefacts_fixture import DENSE, grid, material_of, texts

DOCS = {"on": ["python-docs"]}
TABLE_2 = [*DENSE, *grid("svd-llm"), *grid("basis-sharing", group=[2, 3, 4]), *grid("d-rank", group=[2, 3]), *grid("random-ranks")]
TABLE_5 = [*DENSE, *grid("basis-sharing", group=[2, 3]), *grid("d-rank", group=[2, 3], beta=[0.2, 0.3])]


def value_of(material, label, ratio, dataset="python-docs", model="docs-mha"):
    """The perplexity of a run, straight from its record."""
    found = [one for one in material.records if (one.model, one.method, one.ratio, one.kind) == (model, label, ratio, "perplexity")]
    return next(row.value for row in found[0].results if (row.dataset, row.metric) == (dataset, "perplexity"))


def test_methods_and_groups_by_ratio_as_in_table_2():
    material = material_of(TABLE_2, {"rows": ["method", "group"], "columns": ["ratio"], **DOCS})
    table = pivot(material)
    assert [column.label for column in table.columns] == ["Method", "", "20\u202f%", "40\u202f%"]
    assert [[row[0].text for row in block] for block in table.blocks] == [
        ["Dense"],
        ["SVD-LLM"],
        ["Basis Sharing", "", ""],
        ["D-Rank", ""],
        ["Random ranks"],
    ]
    assert [row[1] for row in texts(table)] == ["", "", "n = 2", "n = 3", "n = 4", "n = 2", "n = 3", ""]
    expected = [[value_of(material, variant(method, values), ratio) for ratio in (0.2, 0.4)] for method, values, _ in TABLE_2[3:9:2]]
    assert [row[2:] for row in texts(table)][2:5] == [[f"{value:.2f}" for value in row] for row in expected]


def test_dense_meets_no_ratio_and_stands_once():
    table = pivot(material_of(TABLE_2, {"rows": ["method", "group"], "columns": ["ratio"], **DOCS}))
    assert texts(table)[0][2:] == [f"{table.frame['value'][0]:.2f}", ""]
    assert "stands in the first of them" in table.caption
    alone = pivot(material_of(DENSE, {"rows": ["method"], "columns": ["ratio"], **DOCS}))
    assert [len(row) for row in texts(alone)] == [2]
    rows = pivot(material_of(TABLE_2, {"rows": ["ratio", "method", "group"], **DOCS}))
    assert texts(rows)[0][:2] == ["0\u202f%", "Dense"]
    assert "stands in the first" not in rows.caption


def test_betas_by_ratio_and_group_as_in_table_5():
    table = pivot(material_of(TABLE_5, {"rows": ["method", "beta"], "columns": ["ratio", "group"], **DOCS}))
    assert [group for group, _ in table.groups] == ["", "20\u202f%\u00a0↓", "40\u202f%\u00a0↓"]
    assert [column.label for column in table.columns[2:]] == ["n = 2", "n = 3"] * 2
    assert [row[:2] for row in texts(table)] == [["Dense", ""], ["Basis Sharing", ""], ["D-Rank", "β = 0.2"], ["", "β = 0.3"]]


def test_models_side_by_side_as_in_tables_6_and_7():
    runs = [*DENSE, *grid("svd-llm", (0.2,)), *grid("d-rank", (0.2,))]
    table = pivot(material_of(runs, {"rows": ["method"], "columns": ["model"], **DOCS}, ("docs-mha", "docs-gqa")))
    assert (table.name, table.model) == ("artefact", "docs-mha, docs-gqa")
    assert [column.label for column in table.columns] == ["Method", "docs-mha", "docs-gqa"]
    assert table.caption.startswith("Perplexity on python-docs at 20\u202f% removed.")
    assert not {"–", ""} & {cell for row in texts(table) for cell in row}


def test_models_below_each_other_have_their_dense_each():
    runs = [*DENSE, *grid("svd-llm", (0.2,)), *grid("d-rank", (0.2,))]
    table = pivot(material_of(runs, {"rows": ["model", "method"], "columns": ["dataset"]}, ("docs-mha", "docs-gqa")))
    assert [row[:2] for row in texts(table)] == [
        *(["docs-mha", "Dense"], ["docs-mha", "SVD-LLM"], ["", "D-Rank"]),
        *(["docs-gqa", "Dense"], ["docs-gqa", "SVD-LLM"], ["", "D-Rank"]),
    ]


def test_another_calibration_corpus_as_in_table_8_is_named():
    runs = [*grid("svd-llm", (0.2,), corpus=["code"]), *grid("d-rank", (0.2,), corpus=["code"], group=[2, 3])]
    table = pivot(material_of(runs, {"rows": ["method", "group"], "columns": ["dataset"], "on": ["python-code", "python-docs"]}))
    assert [column.label for column in table.columns[2:]] == ["python-code", "python-docs"]
    assert "calibrated on code" in table.caption


def test_draws_are_a_mean_with_their_spread():
    runs = [*DENSE, *grid("d-rank", draw=[13, 42, 512])]
    material = material_of(runs, {"rows": ["method"], "columns": ["ratio"], "over": "draw", **DOCS})
    table = pivot(material)
    values = pd.Series([value_of(material, f"d-rank+draw={draw}", 0.4) for draw in (13, 42, 512)])
    assert texts(table)[1][2] == f"{values.mean():.2f} ±{values.std():.3f}"
    assert "over 3 values of draw" in table.caption
    assert table.frame["count"].tolist() == [1, 3, 3]


def test_numbers_that_claim_one_place_are_named():
    with pytest.raises(ValueError, match=r"3 numbers claim one place: docs-mha basis-sharing\+group=2 at 0.2 on python-docs; docs"):
        pivot(material_of(TABLE_2, {"rows": ["method"], "columns": ["ratio"], **DOCS}))
    with pytest.raises(ValueError, match=r"dense at 0 on python-docs; .* on python-reference"):
        pivot(material_of(TABLE_2, {"rows": ["method", "group"], "columns": ["ratio"]}))
    mixed = [*grid("d-rank", (0.2,)), *grid("d-rank", (0.2,), group=[2, 3])]
    with pytest.raises(ValueError, match=r"docs-mha d-rank\+group=2 at 0.2 on python-docs"):
        pivot(material_of(mixed, {"rows": ["method"], "columns": ["group"], **DOCS}))
    with pytest.raises(ValueError, match="claim one place"):
        pivot(material_of(mixed, {"rows": ["method"], "over": "group", **DOCS}))


def test_options_that_no_run_meets_are_named():
    with pytest.raises(ValueError, match=r"artefact: .*but gruop is not; the runs stand on model, method, label, ratio, dataset, group"):
        pivot(material_of(TABLE_2, {"rows": ["gruop"]}))
    with pytest.raises(ValueError, match="each in one place, but ratio is not"):
        pivot(material_of(TABLE_2, {"rows": ["ratio"], "columns": ["ratio"]}))
    with pytest.raises(ValueError, match="option on names wiki, where no run has perplexity; it is there for python-docs"):
        pivot(material_of(TABLE_2, {"rows": ["label"], "on": ["wiki"]}))


def test_one_run_at_several_points_counts_once():
    material = material_of([*grid("d-rank", (0.2,)), *grid("svd-llm", (0.2,), group=[1])], {"rows": ["method"], **DOCS})
    twice = material.numbers.assign(group=2)
    doubled = replace(material, numbers=pd.concat([material.numbers, twice]))
    assert pivot(doubled).frame.shape[0] == 2


def test_what_was_not_measured_is_a_dash_and_nothing_at_all_is_no_table():
    runs = [*grid("svd-llm", (0.2,)), *grid("d-rank")]
    assert texts(pivot(material_of(runs, {"rows": ["method"], "columns": ["ratio"], **DOCS})))[0][2] == "–"
    nothing = pivot(material_of(runs, {"rows": ["method"], "metric": "accuracy"}))
    assert nothing.blocks == () and nothing.frame.empty
    assert nothing.caption == "Nothing to show of docs-mha: no run measured Accuracy (%)."


def test_published_numbers_stand_beside_ours():
    row = {"method": "d-rank", "ratio": 0.2, "group": 3, "dataset": "python-docs", "metric": "perplexity", "value": 7.37}
    published = pd.DataFrame([{"model": "docs-mha", **row}, {"model": "other", **row, "value": 1.0}])
    table = pivot(material_of(TABLE_2, {"rows": ["method", "group"], "columns": ["ratio"], **DOCS}, published=published))
    assert [cell for row in texts(table) for cell in row if "(" in cell] == [f"{table.frame['value'].iloc[11]:.2f} (7.37)"]
    assert table.frame["published"].dropna().tolist() == [7.37]
    assert table.caption.endswith("In parentheses: published.")
    over = pivot(
        material_of(grid("d-rank", (0.2,), group=[3], draw=[42, 13]), {"rows": ["group"], "over": "draw", **DOCS}, published=published)
    )
    assert texts(over)[0][1].endswith("(7.37)")
    two = pd.concat([published, published.assign(value=8.0)])
    with pytest.raises(ValueError, match=r"the paper's numbers for .*d-rank\+group=3.* are \[7.37, 8.0\]"):
        pivot(material_of(TABLE_2, {"rows": ["method", "group"], "columns": ["ratio"], **DOCS}, published=two))
