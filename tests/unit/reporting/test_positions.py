"""The table of losses by position shows what records tell, over what the dense model's do."""

from __future__ import annotations

from dataclasses import replace

from drank.reporting.layouts import LAYOUTS
from drank.reporting.tables.positions import loss_by_position
from tests.unit.artefacts_fixture import DENSE, grid, material_of, texts

RUNS = [*DENSE, *grid("svd-llm", ratios=(0.4,)), *grid("d-rank", ratios=(0.4,))]
LOSS = {"dense": (3.0, 2.0), "svd-llm": (3.5, 2.25), "d-rank": (3.25, 2.0)}


def telling(material, corpora=("python-docs", "python-code"), labels=tuple(LOSS)):
    """The material whose records tell losses by position on these corpora, higher by one on each further one."""

    def told(record):
        ends = ((1, 32), (33, 511))
        bands = {
            corpus: [{"first": a, "last": b, "loss": loss + more} for (a, b), loss in zip(ends, LOSS[record.method], strict=True)]
            for more, corpus in enumerate(corpora)
        }
        detail = {name: windows | ({"loss_by_position": bands[name]} if name in bands else {}) for name, windows in record.detail.items()}
        return replace(record, detail=detail) if record.method in labels else record

    return replace(material, records=[told(record) for record in material.records])


def test_rows_are_losses_and_what_they_are_over_dense():
    table = loss_by_position(telling(material_of(RUNS, {"on": ["python-docs"]})))
    assert table.labels == ["Ratio", "Method", "1–32", "33–511"] and table.groups[-1] == ("python-docs\u00a0↓", 2)
    assert texts(table) == [
        ["0\u202f%", "Dense", "3.00", "2.00"],
        ["40\u202f%", "SVD-LLM", "3.50 +0.50", "2.25 +0.25"],
        ["", "D-Rank", "3.25 +0.25", "2.00 0.00"],
    ]
    assert table.frame.iloc[2].to_dict() == {
        "model": "docs-mha",
        "ratio": 0.4,
        "label": "svd-llm",
        "text": "python-docs",
        "first": 1,
        "last": 32,
        "loss": 3.5,
    }


def test_several_models_and_texts_stand_in_one_table():
    table = loss_by_position(telling(material_of(RUNS, {}, models=("docs-mha", "docs-gqa"))))
    assert [row[0] for row in texts(table)] == ["docs-mha", "docs-mha", "", "docs-gqa", "docs-gqa", ""]
    assert [cell[3] for cell in texts(table)][:2] == ["3.00", "3.50 +0.50"] and len(table.columns) == 3 + 2 * 2
    assert texts(table)[1][5:] == ["4.50 +0.50", "3.25 +0.25"], "in the order of the corpora"


def test_without_dense_nothing_stands_beside():
    table = loss_by_position(telling(material_of(RUNS[1:], {"on": ["python-docs"]})))
    assert texts(table)[0] == ["40\u202f%", "SVD-LLM", "3.50", "2.25"] and "over the dense model" not in table.caption


def test_runs_whose_records_do_not_tell_are_left_out_and_of_none_nothing_is_left():
    table = loss_by_position(telling(material_of(RUNS, {"on": ["python-docs"]}), labels=("dense", "d-rank")))
    assert [row[1] for row in texts(table)] == ["Dense", "D-Rank"]
    assert not loss_by_position(material_of(RUNS, {})).blocks


def test_it_is_a_layout():
    assert LAYOUTS["loss_by_position"].load() is loss_by_position
