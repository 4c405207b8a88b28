"""The checks of a run: all hold on a sound one, and each fails where it should."""

from dataclasses import replace

import pytest

from drank.methods import METHODS as KNOWN
from drank.reporting.names import method_name
from drank.reporting.report import verdict
from drank.reporting.report.checks import checks
from drank.reporting.report.doubts import doubts
from drank.reporting.report.random_draw import against_random_ranks
from drank.reporting.summary import summarise
from drank.reporting.tables.numbers import per_model
from tests.unit.records_fixture import METHODS, perplexity_record, zeroshot_record
from tests.unit.report_page import Page, page_of


def by_name(records):
    return {(check.name, check.model): check for numbers in per_model(summarise(records, METHODS)) for check in checks([numbers], records)}


def test_all_checks_hold_on_a_sound_run(records):
    found = by_name(records)
    assert len(found) == 4
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
    assert before[0] == "D-Rank has the lower perplexity in 12 of 12 comparisons with one draw of random ranks, whatever their kinds."
    assert after[0].startswith(
        "D-Rank has the lower perplexity in 9 of 12 comparisons with one draw of random ranks, whatever their kinds, not on "
    )
    assert after[0].count("at 20\u202f% (docs-mha)") == 3 and len(after) == 3
    assert "above it by more than chance in 12 of 12 comparisons, below it in 0" in before[-1]
    assert "above it by more than chance in 9 of 12 comparisons, below it in 3" in after[-1] and " lie −" in after[-1]
    page = Page(page_of(lucky)).text
    assert " ".join(after[0].split()) in page and "checks of the pipeline failed" not in page


def test_a_model_over_its_budget_fails(records):
    fat = [replace(one, size=replace(one.size, ratio_stored=0.19)) if (one.method, one.ratio) == ("svd", 0.2) else one for one in records]
    found = by_name(fat)["No model exceeds its budget, counted in saved tensors", "docs-mha"]
    assert not found.passed
    assert "SVD at 20\u202f% stores 1.000 points too much" in found.text


GIVEN = replace(KNOWN["svd"], allocator="given", plan="mine.json")


@pytest.mark.parametrize(
    ("label", "method", "what"),
    [
        *((label, KNOWN["d-rank-released"], "published code") for label in ("d-rank-released", "mine", "d-rank-released+group=2")),
        ("found", GIVEN, "given plan"),
    ],
)
def test_one_that_ends_off_its_budget_as_what_it_follows_is_told_and_fails_nothing(records, label, method, what):
    """By what it is, whatever the configuration calls it."""
    recipe = {"method": method.settings(0.2)}
    moved = [
        replace(one, method=label, size=replace(one.size, ratio_stored=0.19), provenance=one.provenance | recipe)
        if (one.method, one.ratio) == ("svd", 0.2)
        else one
        for one in records
        if (one.method, one.ratio) != ("svd", 0.4)
    ]
    found = {(check.name, check.model): check for check in checks(list(per_model(summarise(moved, [*METHODS, label]))), moved)}
    budget = found["No model exceeds its budget, counted in saved tensors", "docs-mha"]
    assert budget.passed
    assert f"{method_name(label)} at 20\u202f% stores 1.000 points too much, as its {what} does" in budget.text


@pytest.mark.parametrize("label", ["whole", "full-rank+draw=1", "random-ranks+draw=7"])
def test_controls_by_another_name_and_their_variants_are_checked_as_what_they_are(records, label):
    control = "random-ranks" if label.startswith("random") else "full-rank"
    named = [replace(one, method=label) if one.method == control else one for one in records]
    found = checks(list(per_model(summarise(named, [*METHODS, label]))), named)
    whole = label if control == "full-rank" else "full-rank"
    assert {check.name for check in found if "equals dense" in check.name} == {f"{method_name(whole)} equals dense to rounding"}
    assert all(check.passed for check in found)
    told = against_random_ranks(list(per_model(summarise(named, [*METHODS, label]))))
    assert bool(told) == (control == "full-rank"), "variants are in no contest"


def test_a_dense_model_that_guesses_is_to_be_doubted_and_fails_nothing(records):
    guessing = replace(zeroshot_record("m", "svd", 0.9), method="dense", ratio=0.0)
    summary = summarise([guessing])
    assert not checks(list(per_model(summary)), [guessing])
    (sentence,) = [one for one in doubts([guessing], list(per_model(summary))) if "near guessing" in one]
    assert sentence.startswith("m: the uncompressed model is near guessing") and "against 25.0" in sentence
    count = len(doubts([guessing], list(per_model(summary))))
    (told,) = [line for line in verdict(summary, [guessing]) if line.startswith("to doubt: ")]
    assert told.startswith(f"to doubt: {count} reason")
    page = Page(page_of([guessing]))
    assert " ".join(sentence.split()) in page.text and "failed" not in page.text
    assert not [one for one in doubts(records, list(per_model(summarise(records, METHODS)))) if "near guessing" in one]
