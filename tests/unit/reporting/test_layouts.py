"""All layouts of an artefact: a changed number changes the table, and what they make prints."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drank.methods import METHODS
from drank.reporting.material import Material, numbers_of
from drank.reporting.records import Record
from drank.reporting.summary import summarise
from drank.reporting.tables.choice import choice
from drank.reporting.tables.cost import cost
from drank.reporting.tables.effective_ranks import effective_rank
from drank.reporting.tables.pivot import pivot
from drank.reporting.tables.stability import stability
from drank.reporting.tables.steps import steps, words
from drank.variants import values_in
from tests.unit.artefacts_fixture import DENSE, grid, material_of
from tests.unit.records_fixture import make_plan, make_spectrum

LAYOUTS = {one.__name__: one for one in (pivot, effective_rank, steps, choice, cost, stability)}
TEXT = {"corpus": "python-docs", "seed": 13, "windows": 8, "length": 256}
RUNS = {
    "pivot": [*DENSE, *grid("svd-llm"), *grid("d-rank", group=[2, 3])],
    "effective_rank": [*DENSE, *grid("d-rank")],
    "steps": [*grid("svd-llm"), *grid("d-rank")],
    "choice": [*DENSE, *grid("d-rank", beta=[0.2, 0.3])],
    "cost": [*DENSE, *grid("svd-llm"), *grid("d-rank")],
    "stability": [*DENSE, *grid("d-rank", windows=[8, 128])],
}
OPTIONS = {
    "pivot": {"rows": ["method", "group"], "columns": ["ratio", "dataset"]},
    "steps": {"chain": {"svd-llm": "start", "d-rank": "ranks"}},
    "choice": {"validation": "python-code", "on": ["python-docs"]},
}


def whole(layout):
    """A material that the layout can be made of."""
    spectra = [make_spectrum("docs-mha", group) | {"calibration": TEXT | {"windows": windows}} for group in (1, 2) for windows in (8, 128)]
    material = material_of(RUNS[layout], OPTIONS.get(layout, {}), spectra=spectra)
    plans = [
        replace(
            make_plan("docs-mha", "d-rank", record.ratio),
            method=record.method,
            settings=METHODS["d-rank"].settings(),
            calibration=TEXT | {"windows": int(values_in(record.method).get("windows", 8))},
        )
        for record in material.records
        if record.method.startswith("d-rank")
    ]
    return replace(material, plans=plans)


def with_records(material: Material, records: list[Record]) -> Material:
    """The material that these records make, as a run would."""
    points = material.numbers[["model", "method", "label", "ratio", *material.axes]].drop_duplicates()
    labels = list(dict.fromkeys(points["label"]))
    return replace(material, records=records, numbers=numbers_of(summarise(records, labels), points.to_dict("records")))


def worse(record: Record) -> Record:
    """The record with every perplexity, and the losses behind it, higher."""
    results = tuple(replace(row, value=1.01 * row.value, ci_high=1.02 * row.value) for row in record.results)
    detail = {name: {**told, "window_loss": [loss + 5.1 for loss in told["window_loss"]]} for name, told in record.detail.items()}
    return replace(record, results=results, detail=detail)


def printed(table):
    return [[(cell.text, cell.small) for cell in row] for block in table.blocks for row in block]


@pytest.mark.parametrize("layout", sorted(LAYOUTS.keys() - {"effective_rank"}))
def test_a_changed_record_changes_the_table(layout):
    material = whole(layout)
    before = LAYOUTS[layout](material)
    changed = [index for index, record in enumerate(material.records) if record.method != "dense"]
    for index in changed:
        records = [worse(record) if place == index else record for place, record in enumerate(material.records)]
        after = LAYOUTS[layout](with_records(material, records))
        assert after.to_csv() != before.to_csv(), material.records[index].method
        assert printed(after) != printed(before), material.records[index].method
    assert LAYOUTS[layout](with_records(material, list(material.records))).to_csv() == before.to_csv()


def test_a_changed_record_changes_the_words():
    material = whole("steps")
    for index in range(len(material.records)):
        records = [worse(record) if place == index else record for place, record in enumerate(material.records)]
        assert words(with_records(material, records)) != words(material)


@pytest.mark.parametrize("layout", ["effective_rank", "stability"])
def test_a_changed_spectrum_changes_the_table(layout):
    material = whole(layout)
    before = LAYOUTS[layout](material)
    told = [index for index, spectrum in enumerate(material.spectra) if layout == "effective_rank" or spectrum["group"] == 2]
    for index in told:
        groups = [{**group, "effective_rank": 1.5 * group["effective_rank"]} for group in material.spectra[index]["groups"]]
        spectra = [{**spectrum, "groups": groups} if place == index else spectrum for place, spectrum in enumerate(material.spectra)]
        after = LAYOUTS[layout](replace(material, spectra=spectra))
        assert after.to_csv() != before.to_csv() and printed(after) != printed(before)


def test_a_changed_plan_changes_the_table():
    material = whole("stability")
    before = LAYOUTS["stability"](material)
    for index, plan in enumerate(material.plans):
        first, last = plan.groups[0], plan.groups[-1]
        moved = replace(plan, groups=(replace(first, rank=first.rank - 20), *plan.groups[1:-1], replace(last, rank=last.rank + 10)))
        plans = [moved if place == index else other for place, other in enumerate(material.plans)]
        after = LAYOUTS["stability"](replace(material, plans=plans))
        assert after.to_csv() != before.to_csv() and printed(after) != printed(before)


def test_a_changed_time_changes_what_it_costs():
    material = whole("cost")
    before = LAYOUTS["cost"](material)
    for index, record in enumerate(material.records):
        if record.method != "dense":
            making = {**record.provenance["making"], "seconds": 77.7}
            slower = replace(record, provenance={**record.provenance, "making": making})
            records = [slower if place == index else other for place, other in enumerate(material.records)]
            after = LAYOUTS["cost"](with_records(material, records))
            assert printed(after) != printed(before) and "77.7" in after.to_csv()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_row_has_a_cell_for_every_column(layout):
    table = LAYOUTS[layout](whole(layout))
    assert table.blocks
    assert all(len(row) == len(table.columns) for block in table.blocks for row in block)
    assert table.model == "docs-mha" and table.name == "artefact"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_a_function_of_its_material(layout):
    material = whole(layout)
    first = LAYOUTS[layout](material)
    assert LAYOUTS[layout](material).to_html() == first.to_html()
    assert LAYOUTS[layout](whole(layout)).to_csv() == first.to_csv()
