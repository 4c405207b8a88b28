"""The report on paper: every row and the last column of every table is there, within the page, and heads come again on every sheet."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from tests.browser.conftest import COLUMNS, ROWS, Sheets


def words_of(printed: Sheets) -> Counter[str]:
    return Counter(part for words in printed for word, *_ in words for part in re.split(r"[\s\u202f]+", word))


def test_nothing_stands_beyond_the_paper(printed: Sheets) -> None:
    assert len(printed) > 5
    assert not [word for words in printed for word, left, right in words if left < 0.01 or right > 0.99]


def test_every_number_of_every_table_is_printed(looks: dict[int, dict[str, Any]], printed: Sheets) -> None:
    """Those that are folded away on screens too."""
    wanted = Counter(part for text in looks[1440]["numbers"] for part in re.split(r"[\s\u202f]+", text) if re.search(r"\d", part))
    assert wanted.total() > 1000
    assert wanted - words_of(printed) == Counter()


def test_long_tables_lose_no_row_and_head_every_sheet(printed: Sheets) -> None:
    sheets = [{word for word, *_ in words} for words in printed]
    on = [[row for row in range(ROWS) if f"row-{row}" in sheet] for sheet in sheets]
    assert sorted(row for rows in on for row in rows) == list(range(ROWS))
    headed = [sheet for sheet, rows in zip(sheets, on, strict=True) if rows]
    assert len(headed) > 1 and all("Headword" in sheet for sheet in headed)
    for row in range(ROWS):
        assert any({f"row-{row}", f"{1000 + row}"} <= sheet for sheet in sheets), "a row is on one sheet"


def test_wide_tables_keep_their_last_column(printed: Sheets) -> None:
    assert {f"+{100 + place}.25" for place in range(COLUMNS)} <= set(words_of(printed))


def test_the_paired_table_keeps_its_last_column(looks: dict[int, dict[str, Any]], printed: Sheets) -> None:
    last = Counter(text for text in looks[1440]["paired"] if text != "–")
    assert last.total() > 10
    assert last - words_of(printed) == Counter()
