"""The table of fidelity: a line for every method of the table, its source as the table has it, and a check that exists."""

import re
from pathlib import Path

import pytest

from drank.methods import METHODS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/methods/fidelity.md").read_text("utf-8")
ROWS = [line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith("| `")]
LINES = {name.strip(" `"): [cell.strip() for cell in cells] for name, *cells in ROWS}
PUBLISHED = [name for name, method in METHODS.items() if method.paper.startswith(("arXiv:", "github.com/"))]


def test_every_method_has_its_line_in_the_order_of_the_table():
    assert [*LINES] == sorted(LINES, key=[*METHODS, *LINES].index)
    assert set(METHODS) - {"dense"} == set(LINES)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_source_is_that_of_the_table_and_what_is_shared_and_what_departs_is_said(name):
    source, shared, departs, _ = LINES[name]
    assert METHODS[name].paper.removeprefix("github.com/") in source
    assert len(shared) > 20 and departs


@pytest.mark.parametrize("name", LINES)
def test_the_check_is_a_test_that_there_is(name):
    file, test = re.fullmatch(r"`([^:]+)::(\w+)`", LINES[name][-1]).groups()
    assert f"def {test}(" in (ROOT / file).read_text("utf-8")
