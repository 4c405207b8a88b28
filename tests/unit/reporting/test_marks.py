"""Bold, underline and dagger: only what a paired test tells apart, among methods of one kind."""

import pytest

from drank.reporting.summary import summarise
from tests.unit.records_fixture import CORPORA, METHODS, all_records, perplexity_record
from tests.unit.reporting.tables_of import main_table


@pytest.fixture(scope="module")
def summary():
    return summarise(all_records(), METHODS)


def marks(table, column):
    """By ratio and method the cells of a column."""
    place, found, ratio = [one.label for one in table.columns].index(column), {}, ""
    for row in (row for block in table.blocks for row in block):
        ratio = row[0].text or ratio
        found[ratio.removesuffix("\u202f%"), row[1].text] = row[place]
    return found


def of(cells, mark):
    return {key for key, cell in cells.items() if getattr(cell, mark)}


def test_bold_is_the_best_of_its_kind_and_a_dagger_the_best_of_all(summary):
    cells = marks(main_table(summary, "docs-mha"), "python-code")
    assert of(cells, "bold") == {("20", "D-Rank"), ("40", "D-Rank"), ("40", "SVD-LLM")}
    assert of(cells, "underlined") == set()
    assert [key for key, cell in cells.items() if cell.text.endswith("†")] == [("40", "D-Rank")]


def test_who_is_not_told_apart_from_the_best_is_underlined_with_it(summary):
    cells = marks(main_table(summary, "docs-mha"), "parameter-description")
    assert of(cells, "underlined") == {("20", "D-Rank"), ("20", "Basis Sharing"), ("40", "D-Rank"), ("40", "Basis Sharing")}
    assert of(cells, "bold") == {("40", "SVD-LLM")}


def test_the_second_is_underlined_where_only_the_correction_keeps_it_from_being_told_apart(summary):
    """At 40 % D-Rank's interval against Basis Sharing excludes zero, yet among 30 comparisons that says nothing."""
    gap = summary.query("model == 'docs-mha' and ratio == 0.4 and dataset == 'parameter-description' and metric == 'accuracy_minus_best'")
    second, best = (gap[gap["method"] == method].iloc[0] for method in ("basis-sharing", "d-rank"))
    assert second["ci_high"] < 0 and best["p"] < 0.05 < best["p_holm"]


def test_controls_and_who_has_no_rival_have_no_mark(summary):
    lower = summary.copy()
    lower.loc[lower["method"] == "random-ranks", "ci_low"] = -1.0
    cells = marks(main_table(lower, "docs-mha"), "python-docs")
    assert not cells["20", "Random ranks"].bold and not cells["20", "Random ranks"].underlined
    alone = summarise([perplexity_record("m", "svd", 0.4), perplexity_record("m", "d-rank", 0.4)])
    table = main_table(alone, "m")
    found = marks(table, "python-docs")
    assert not of(found, "bold") and not of(found, "underlined")
    assert found["40", "D-Rank"].text.endswith("†") and "†: the best of all kinds" in table.caption


def test_nothing_is_bold_where_one_window_cannot_tell():
    table = main_table(summarise([perplexity_record("m", method, 0.2, windows=1) for method in ("svd", "svd-llm", "d-rank")]), "m")
    assert all(len(of(marks(table, corpus), "underlined")) == 3 and not of(marks(table, corpus), "bold") for corpus in CORPORA)
    assert "Four times of five" not in table.caption


def test_the_caption_says_the_rules_the_kinds_and_what_could_be_found(summary):
    caption = main_table(summary, "docs-mha").caption
    assert (
        "Bold: the best of its kind at its ratio among the methods of this table, told apart from the second (paired test, 5\u202f% after "
        "Holm's correction)" in caption
    )
    best = summary[(summary["model"] == "docs-mha") & (summary["place"] == 1)]
    nats, points = (best.loc[best["metric"] == metric, "detectable"] for metric in ("log_perplexity_minus_best", "accuracy_minus_best"))
    lowest, highest = 100 * points.min(), 100 * points.max()
    assert f"of {nats.min():.4f} to {nats.max():.4f} nats per token and {lowest:.1f} to {highest:.1f} points" in caption
    assert "refitted, two factors (Basis Sharing at 40\u202f% and D-Rank at 40\u202f%)." in caption
    one = main_table(summary[summary["ratio"] < 0.3], "docs-mha").caption
    assert "Kinds:" not in one and "†" not in one and "Bold:" in one
    assert "Bold:" not in main_table(summarise([perplexity_record("m", "svd", 0.2)]), "m").caption


def test_marks_in_latex_and_html(summary):
    table = main_table(summary, "docs-mha")
    assert "\\underline{" in table.to_latex() and "$^\\dagger$" in table.to_latex()
    assert '<u class="near">' in table.to_html()
