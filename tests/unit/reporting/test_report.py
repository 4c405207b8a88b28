import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest

from drank.reporting.figures import FIGURES, save
from drank.reporting.report import render
from drank.reporting.report.checks import checks
from drank.reporting.report.verdict import contests, headline
from drank.reporting.summary import summarise
from drank.reporting.tables import TABLES
from drank.reporting.tables.numbers import Numbers, per_model
from tests.unit.records_fixture import METHODS, all_records, make_plan, perplexity_record, zeroshot_record

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
        self.words.append(data)


def page_of(records, methods=METHODS, plans=(), tables=(), figures=None, settings=None):
    summary = summarise(records, methods)
    models = list(dict.fromkeys(summary["model"]))
    made = [TABLES[name](summary, model) for model in models for name in tables]
    return render(summary, made, figures or {}, plans, records, settings or {"ratios": [0.2]})


def verdict(records):
    models = list(per_model(summarise(records, METHODS)))
    return headline(models, contests(models))


@pytest.fixture(scope="module")
def records():
    return all_records()


def test_the_page_is_whole_and_asks_for_nothing(tmp_path, records):
    summary = summarise(records, METHODS)
    save(FIGURES["accuracy"](summary), tmp_path / "a.pdf", tmp_path / "a.png")
    markup = page_of(records, tables=TABLES, figures={tmp_path / "a.png": "How it <went>"}, plans=[make_plan("docs-mha", "d-rank", 0.2)])
    page = Page(markup)
    assert not page.wrong
    assert not page.open
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in page.addresses)
    assert not re.search(r"https?://|url\(|@import|<script|<link", markup)
    assert "viewport" in markup
    assert "<title>Low-rank compression of docs-gqa and docs-mha</title>" in markup
    assert "How it <went>" in page.text
    assert str(tmp_path) not in markup
    anchors = {address[1:] for address in page.addresses if address.startswith("#")}
    assert all(f'id="{anchor}"' in markup for anchor in anchors)


def test_the_first_sentence_names_the_winner(records):
    assert verdict(records)[0] == "D-Rank has the lowest perplexity in all 12 comparisons (2 models × 2 ratios × 3 corpora)."
    assert "significantly better in 12 of 12" in verdict(records)[1]
    assert re.search(r"its perplexity is [\d.]+ to [\d.]+\u202f% lower\.", verdict(records)[1])


def losing(method="d-rank", damage=3.0, ratios=(0.2, 0.4)):
    """A run in which a method does badly."""
    made = all_records(models=("docs-mha",), ratios=ratios, kinds=("perplexity",))
    return [perplexity_record("docs-mha", method, one.ratio, damage=damage) if one.method == method else one for one in made]


def test_it_says_so_when_d_rank_loses():
    lines = verdict(losing())
    assert lines[0] == "Basis Sharing has the lowest perplexity in all 6 comparisons (1 model × 2 ratios × 3 corpora)."
    assert lines[1].startswith("D-Rank wins 0 of 6.")
    assert "significantly worse in 6" in lines[1]
    assert "% higher" in lines[1]


def test_it_says_so_when_nobody_wins_everywhere():
    made = [one for one in losing() if one.ratio != 0.2 or one.method != "d-rank"] + [perplexity_record("docs-mha", "d-rank", 0.2)]
    lines = verdict(made)
    assert lines[0].startswith("No method wins everywhere. Lowest perplexity in 6 comparisons")
    assert "D-Rank 3" in lines[0]
    assert "Basis Sharing 3" in lines[0]
    assert re.search(r"between [\d.]+\u202f% lower and [\d.]+\u202f% higher", lines[1])


def test_a_win_within_the_noise_is_no_win():
    records = [
        perplexity_record("m", "dense", 0.0),
        perplexity_record("m", "svd-llm", 0.2),
        perplexity_record("m", "d-rank", 0.2, damage=1.199),
    ]
    found = contests(list(per_model(summarise(records, METHODS))))
    undecided = [one for one in found if "not distinguishable" in one.significance]
    assert undecided
    assert all(one.next_best is not None for one in undecided)


def test_when_the_baseline_wins_the_margin_is_its_rivals():
    found = contests(list(per_model(summarise(losing("basis-sharing"), METHODS))))
    assert {one.method for one in found} == {"d-rank"}
    both = [one for one in losing() if one.method != "basis-sharing"]
    for one in contests(list(per_model(summarise(both, METHODS)))):
        assert one.method == "svd-llm"
        assert one.margin.startswith("D-Rank is +")
        assert one.significance == "significantly better than D-Rank"


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


def by_name(records):
    return {(check.name, check.model): check for numbers in per_model(summarise(records, METHODS)) for check in checks([numbers])}


def test_all_checks_hold_on_a_sound_run(records):
    found = by_name(records)
    assert len(found) == 10
    assert all(check.passed for check in found.values())


def test_a_full_rank_that_differs_from_dense_fails(records):
    broken = [
        perplexity_record(one.model, "full-rank", 0.0) if one.method == "full-rank" and one.kind == "perplexity" else one for one in records
    ]
    shifted = []
    for one in broken:
        if one.method == "full-rank" and one.kind == "perplexity":
            detail = {name: found | {"window_loss": [loss * 1.01 for loss in found["window_loss"]]} for name, found in one.detail.items()}
            one = replace(one, detail=detail)
        shifted.append(one)
    assert not by_name(shifted)["Full rank equals dense to rounding", "docs-mha"].passed
    assert "checks of the pipeline failed" in Page(page_of(shifted)).text


def test_random_ranks_that_win_fail(records):
    lucky = [
        perplexity_record(one.model, one.method, one.ratio, damage=0.1)
        if one.method == "random-ranks" and one.kind == "perplexity"
        else one
        for one in records
    ]
    found = by_name(lucky)["Random ranks loses to D-Rank", "docs-mha"]
    assert not found.passed
    assert found.text == "higher perplexity in 0 of 6 comparisons"


def test_a_model_over_its_budget_fails(records):
    fat = [replace(one, size=replace(one.size, ratio_stored=0.19)) if (one.method, one.ratio) == ("svd", 0.2) else one for one in records]
    found = by_name(fat)["No model exceeds its budget, counted in saved tensors", "docs-mha"]
    assert not found.passed
    assert "SVD at 20\u202f% stores 1.000 points too much" in found.text


def test_a_dense_model_that_guesses_fails():
    guessing = zeroshot_record("m", "svd", 0.9)
    found = by_name([replace(guessing, method="dense", ratio=0.0)])["The uncompressed model stands clear of chance", "m"]
    assert not found.passed
    assert "too close to guessing" in found.text


def test_pictures_of_other_kinds_are_refused(tmp_path, records):
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(ValueError, match=r"\.pdf"):
        page_of(records, figures={tmp_path / "a.pdf": "A page."})


def test_a_summary_without_rows_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        page_of([])


def test_ranking_puts_the_best_first(records):
    numbers = Numbers(summarise(records, METHODS), "docs-mha")
    assert numbers.ranking(0.2, "python-docs", "perplexity")[0][0].method == "d-rank"
    assert numbers.ranking(0.2, "average", "accuracy", low=False)[0][0].method == "d-rank"
