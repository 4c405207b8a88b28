"""The page of a run: whole in one file, whatever was measured, with the numbers and the provenance of its records."""

import json
import re
from dataclasses import replace

import pytest

from drank.reporting.figures.sheet import save
from drank.reporting.report import verdict
from drank.reporting.summary import summarise
from tests.unit.records_fixture import METHODS, all_records, make_plan
from tests.unit.report_page import Page, page_of
from tests.unit.reporting.materials import FIGURES, material_of
from tests.unit.reporting.tables_of import TABLES


def test_the_page_is_whole_and_asks_for_nothing(tmp_path, records):
    summary = summarise(records, METHODS)
    save(FIGURES["accuracy"].draw(material_of("accuracy", summary), "page"), tmp_path / "a.pdf", tmp_path / "a.png")
    markup = page_of(records, tables=TABLES, figures={tmp_path / "a.png": "How it <went>"}, plans=[make_plan("docs-mha", "d-rank", 0.2)])
    page = Page(markup)
    assert not page.wrong
    assert not page.open
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in page.addresses)
    assert not re.search(r"https?://|url\(|@import|<script\s|<link|\bfetch\b|XMLHttp", markup)
    assert "viewport" in markup
    assert "<title>Low-rank compression of docs-gqa and docs-mha</title>" in markup
    assert "How it <went>" in page.text
    assert str(tmp_path) not in markup
    anchors = {address[1:] for address in page.addresses if address.startswith("#")}
    assert all(f'id="{anchor}"' in markup for anchor in anchors)


def test_what_artefacts_say_in_words_is_part_of_the_verdict(records):
    said = "Of the 0.2 nats per token <half> are due to storage."
    assert said in Page(page_of(records, findings=[said])).text
    assert said in verdict(summarise(records, METHODS), records, findings=[said])


@pytest.mark.parametrize("kinds", [("perplexity",), ("zeroshot",), ("throughput",)])
def test_kinds_may_be_missing(kinds):
    page = Page(page_of(all_records(kinds=kinds)))
    assert not page.wrong
    assert ("lowest perplexity" in page.text) == (kinds == ("perplexity",))
    assert ("there is no winner by perplexity" in page.text) == (kinds != ("perplexity",))
    assert ("keeps the highest average accuracy" in page.text) == (kinds == ("zeroshot",))
    assert "nan" not in page.text


@pytest.mark.parametrize(
    "methods", [("dense",), ("d-rank",), ("dense", "svd"), ("svd", "d-rank"), ("svd-llm", "basis-sharing"), METHODS[:3]]
)
def test_methods_may_be_missing(methods):
    page = Page(page_of(all_records(methods=methods, ratios=(0.3,)), methods))
    assert not page.wrong
    assert "nan" not in page.text
    competitors = [method for method in methods if method not in ("dense", "full-rank", "random-ranks")]
    assert ("there is no winner" in page.text) == (len(competitors) < 2)


def test_numbers_on_the_page_are_those_of_the_records(records):
    page = Page(page_of(records, tables=("main",)))
    for one in records:
        if one.kind == "perplexity":
            assert f"{one.results[0].value:.2f}" in page.text
    best = next(one for one in records if (one.kind, one.model, one.method, one.ratio) == ("zeroshot", "docs-gqa", "d-rank", 0.4))
    assert f"D-Rank keeps the highest average accuracy, {100 * best.results[-1].value:.1f}" in page.text


def test_provenance_and_configuration_are_shown_and_differences_marked(records):
    other = replace(records[3], provenance=records[3].provenance | {"git": {"commit": "f" * 40, "dirty": True}})
    page = Page(page_of([*records[:3], other, *records[4:]], settings={"ratios": [0.2], "note": "<script>"}))
    assert "ffffffffffff with uncommitted changes (the records differ)" in page.text
    assert json.dumps("<script>") in page.text
    assert "torch" in page.text
    assert "24\u202f528 tokens" in page_of(records)


def test_pictures_of_other_kinds_are_refused(tmp_path, records):
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(ValueError, match=r"\.pdf"):
        page_of(records, figures={tmp_path / "a.pdf": "A page."})


def test_a_summary_without_rows_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        page_of([])
