"""Links of the pages lead somewhere as GitHub shows them; the site's own are checked by its build."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import FENCE, PROJECT, name_of, pages

LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ +(.+?)\s*$", FENCE.sub("", page.read_text("utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]|\]\(.*?\)", "", heading).lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for path, anchor in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or not target.is_relative_to(PROJECT) or (anchor and anchor not in anchors_of(target)):
            dead.append(f"{path}#{anchor}" if anchor else path)
    assert dead == []
