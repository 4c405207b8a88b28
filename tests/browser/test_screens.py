"""The report on screens of several widths: nothing is cut off, and what is wider than the screen scrolls in a box of its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import WIDTHS


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off(looks: dict[int, dict[str, Any]], width: int) -> None:
    seen = looks[width]
    assert seen["width"] == width and seen["page"] <= width
    assert len(seen["boxes"]) > 10 and "Wide" in seen["scrolling"] and seen["links"] > 100
    assert {fault: found for fault, found in seen["faults"].items() if found} == {}


def test_who_won_is_seen_whole_on_a_laptop(looks: dict[int, dict[str, Any]]) -> None:
    assert "Who won" in looks[1300]["boxes"] and "Who won" in looks[768]["scrolling"]
    assert "Who won" not in looks[1300]["scrolling"]


def test_the_tables_of_a_run_fit_a_desk(looks: dict[int, dict[str, Any]]) -> None:
    """Only the table that was made too wide scrolls on a large screen, on a telephone most do."""
    assert looks[1440]["scrolling"] == ["Wide"]
    assert len(looks[360]["scrolling"]) > 5
