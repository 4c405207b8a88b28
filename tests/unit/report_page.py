"""The report as a page: made from records, and read as a browser reads it."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

from drank.reporting.report import render
from drank.reporting.summary import summarise
from tests.unit.records_fixture import METHODS
from tests.unit.reporting.tables_of import TABLES

VOID = {"meta", "img", "br", "wbr", "link", "hr", "input"}


class Page(HTMLParser):
    """Text of a page, its addresses, and its tags that are not closed in order."""

    def __init__(self, markup):
        super().__init__()
        self.words, self.addresses, self.open, self.wrong = [], [], [], []
        self.feed(markup)
        self.text = re.sub(r"\s+", " ", unescape(" ".join(self.words)))

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)


def page_of(records, methods=METHODS, plans=(), tables=(), figures=None, settings=None, links=None, chains=None, timings=(), findings=()):
    summary = summarise(records, methods)
    models = list(dict.fromkeys(summary["model"]))
    made = [TABLES[name](summary, model) for model in models for name in tables]
    more = {"links": links, "timings": timings, "findings": findings}
    return render(summary, made, figures or {}, plans, records, settings or {"ratios": [0.2]}, chains, **more)
