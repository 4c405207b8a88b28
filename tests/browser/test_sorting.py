"""Tables are sorted by a click on a head, or by a key; without scripts they are there as they are."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from drank.reporting.names import method_name
from drank.reporting.summary import summarise
from tests.browser.chromium import print_to, words_in
from tests.browser.conftest import ROWS, WIDTHS
from tests.unit.records_fixture import METHODS, all_records

Looks = dict[int, dict[str, Any]]


@cache
def perplexities(ratio: float) -> list[tuple[str, float]]:
    """The names of the competing methods with their perplexity on the first corpus, the best first."""
    summary = summarise(all_records(models=("docs-mha",)), METHODS)
    rows = summary[(summary["dataset"] == "python-docs") & (summary["metric"] == "perplexity") & (summary["ratio"] == ratio)]
    found = [(method_name(row.method), row.value) for row in rows.itertuples() if row.method != "random-ranks"]
    return sorted(found, key=lambda pair: pair[1])


@pytest.mark.parametrize("width", WIDTHS)
def test_a_click_sorts_up_down_and_back(looks: Looks, width: int) -> None:
    steps = looks[width]["clicked"]
    before, up, down, after = (step["blocks"] for step in steps)
    assert [step["sorts"][2] for step in steps] == ["none", "ascending", "descending", "none"]
    assert {sort for step in steps for place, sort in enumerate(step["sorts"]) if place != 2} == {"none"}
    assert before == after
    for blocks, sign in ((up, 1), (down, -1)):
        for block, ratio in ((1, 0.2), (2, 0.4)):
            assert [row[1] for row in blocks[block]] == [name for name, _ in perplexities(ratio)[::sign]]
            assert [row[0] for row in blocks[block]] == [f"{100 * ratio:g}\u202f%", "", "", ""], "the ratio stays at the top of its block"
        controls = blocks[-1]
        assert controls[-1][:2] == ["", "Chance"], "what guessing scores stays below"
        assert sorted(row[0] for row in controls[:-1]) == ["0\u202f%", "20\u202f%", "40\u202f%"]
    assert all(step["links"] == steps[0]["links"] for step in steps) and len(steps[0]["links"]) > 50


def test_keys_do_the_same(looks: Looks) -> None:
    before, up, down, other, after = looks[1440]["pressed"]
    names = [row[1] for row in up["blocks"][1]]
    assert names == sorted(names, key=str.lower) and [row[1] for row in down["blocks"][1]] == names[::-1]
    assert other == down and after["blocks"] == before["blocks"]
    assert {tuple(found) for found in looks[1440]["buttons"]} == {(0, "button")}


def test_the_first_column_sorts_blocks(looks: Looks) -> None:
    before, up, down, after = ([block[0][0] for block in step["blocks"]] for step in looks[1440]["blocks"])
    assert before == after == ["0\u202f%", "20\u202f%", "40\u202f%", "0\u202f%"]
    assert up == ["0\u202f%", "0\u202f%", "20\u202f%", "40\u202f%"] and down[-1] == "0\u202f%" and down[-2] == "20\u202f%"


def test_without_scripts_the_page_is_whole(page: Path) -> None:
    """What is folded away on screens is printed then too."""
    quiet = page.with_name("quiet.html")
    mark = '<p id="mark">markoff</p><script>document.getElementById("mark").textContent = "markon";</script></body>'
    forbidden = '<head><meta http-equiv="Content-Security-Policy" content="script-src \'none\'">'
    quiet.write_text(page.read_text("utf-8").replace("</body>", mark).replace("<head>", forbidden), "utf-8")
    print_to(quiet, quiet.with_suffix(".pdf"))
    words = {word for sheet in words_in(quiet.with_suffix(".pdf")) for word, *_ in sheet}
    assert "markoff" in words and "markon" not in words
    assert {f"row-{row}" for row in range(ROWS)} | {'"ratios":'} <= words
