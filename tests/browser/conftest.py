"""A report with everything on it, looked at once at each width and printed once; skipped where there is no browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from drank.reporting.figures.sheet import save
from drank.reporting.report import render
from drank.reporting.summary import summarise
from drank.reporting.tables.layout import Cell, Column, Table
from tests.browser.chromium import lacking, print_to, told_by, words_in
from tests.unit.records_fixture import METHODS, all_records, make_plan
from tests.unit.reporting.materials import FIGURES, material_of
from tests.unit.reporting.tables_of import TABLES
from tests.unit.reporting.test_links import links_of

WIDTHS = (360, 768, 1300, 1440)
"""A telephone, a tablet, a laptop, a desk."""

ROWS, COLUMNS = 90, 20
"""Of a table that is longer than a sheet of paper, and of one that is wider than a screen."""

Sheets = list[list[tuple[str, float, float]]]
"""The words of each sheet of paper, with where they stand."""


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with the tables of two models, one that is long, one that is wide, and a figure."""
    if reason := lacking():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("browser") / "results"
    folder.mkdir()
    records = all_records()
    summary = summarise(records, METHODS)
    models = list(dict.fromkeys(summary["model"]))
    plans = [make_plan(model, "d-rank", ratio) for model in models for ratio in (0.2, 0.4)]
    save(FIGURES["ranks"].draw(material_of("ranks", plans=plans), "page"), folder / "ranks.pdf", folder / "ranks.png")
    tables = [*(make(summary, model) for model in models for make in TABLES.values()), long_table(), wide_table()]
    figures = {folder / "ranks.png": "Ranks by layer."}
    file = folder / "report.html"
    file.write_text(render(summary, tables, figures, plans, records, {"ratios": [0.2, 0.4]}, links=links_of(records)), "utf-8")
    return file


@pytest.fixture(scope="session")
def looks(page: Path) -> dict[int, dict[str, Any]]:
    """What `look.js` tells of the page at each width."""
    script = Path(__file__).with_name("look.js").read_text("utf-8")
    return {width: told_by(page, script, width) for width in WIDTHS}


@pytest.fixture(scope="session")
def printed(page: Path) -> Sheets:
    """The page on paper."""
    pdf = page.with_name("printed.pdf")
    print_to(page, pdf)
    return words_in(pdf)


def long_table() -> Table:
    """A table of one column under a head that nothing else has."""
    rows = tuple((Cell(f"row-{row}"), Cell(f"{1000 + row}")) for row in range(ROWS))
    frame = pd.DataFrame({"row": [row[0].text for row in rows]})
    return Table("long", "", "Long.", (Column("Headword", align="l"), Column("Value")), (rows,), frame)


def wide_table() -> Table:
    """A table of many columns, each with an interval."""
    columns = (Column("Method", align="l"), *(Column(f"column-{place}", "Many") for place in range(COLUMNS)))
    cells = (Cell(f"+{100 + place}.25", f"[+{place}.11, +{place}.99]", stacked=True) for place in range(COLUMNS))
    return Table("wide", "", "Wide.", columns, (((Cell("a method with a long name"), *cells),),), pd.DataFrame({"row": [0]}))
