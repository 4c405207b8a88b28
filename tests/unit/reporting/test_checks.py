"""The checks of a run: all hold on a sound one, and each fails where it should."""

from dataclasses import replace

from drank.reporting.report.checks import checks
from drank.reporting.report.random_draw import against_random_ranks
from drank.reporting.summary import summarise
from drank.reporting.tables.numbers import per_model
from tests.unit.records_fixture import METHODS, perplexity_record, zeroshot_record
from tests.unit.report_page import Page, page_of


def by_name(records):
    return {(check.name, check.model): check for numbers in per_model(summarise(records, METHODS)) for check in checks([numbers])}


def test_all_checks_hold_on_a_sound_run(records):
    found = by_name(records)
    assert len(found) == 6
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


def test_random_ranks_that_win_are_a_result_and_no_failed_check(records):
    """One lucky draw, or a method near it, says something of the method; the pipeline is as sound as before."""
    lucky = [
        perplexity_record(one.model, one.method, one.ratio, damage=0.1)
        if (one.method, one.kind, one.model, one.ratio) == ("random-ranks", "perplexity", "docs-mha", 0.2)
        else one
        for one in records
    ]
    assert all(check.passed for check in by_name(lucky).values())
    before, after = (against_random_ranks(list(per_model(summarise(given, METHODS)))) for given in (records, lucky))
    assert before[0] == "D-Rank has the lower perplexity in 12 of 12 comparisons with one draw of random ranks."
    assert after[0].startswith("D-Rank has the lower perplexity in 9 of 12 comparisons with one draw of random ranks, not on ")
    assert after[0].count("at 20\u202f% (docs-mha)") == 3 and len(after) == 2
    page = Page(page_of(lucky)).text
    assert " ".join(after[0].split()) in page and "checks of the pipeline failed" not in page


def test_a_model_over_its_budget_fails(records):
    fat = [replace(one, size=replace(one.size, ratio_stored=0.19)) if (one.method, one.ratio) == ("svd", 0.2) else one for one in records]
    found = by_name(fat)["No model exceeds its budget, counted in saved tensors", "docs-mha"]
    assert not found.passed
    assert "SVD at 20\u202f% stores 1.000 points too much" in found.text


def test_one_that_ends_off_its_budget_as_its_published_code_does_is_told_and_fails_nothing(records):
    moved = [
        replace(one, method="d-rank-released", size=replace(one.size, ratio_stored=0.19))
        if (one.method, one.ratio) == ("svd", 0.2)
        else one
        for one in records
    ]
    found = by_name(moved)["No model exceeds its budget, counted in saved tensors", "docs-mha"]
    assert found.passed
    assert "D-Rank, released at 20\u202f% stores 1.000 points too much, as its published code does" in found.text


def test_a_dense_model_that_guesses_fails():
    guessing = zeroshot_record("m", "svd", 0.9)
    found = by_name([replace(guessing, method="dense", ratio=0.0)])["The uncompressed model stands clear of chance", "m"]
    assert not found.passed
    assert "too close to guessing" in found.text
