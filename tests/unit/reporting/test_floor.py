"""Methods at the floor of a task are said to be, and no others."""

from __future__ import annotations

from dataclasses import replace

from drank.reporting.records import Result
from drank.reporting.report.floor import floors
from drank.reporting.summary import summarise
from drank.reporting.tables.numbers import per_model
from tests.unit.records_fixture import METHODS, all_records


def said(accuracies, majority=0.3, chance=0.25):
    """What is said of one task, by the accuracy of each method at 40 %, each known to 4 points."""
    records = []
    for record in all_records(models=("m",), kinds=("zeroshot",), methods=METHODS, ratios=(0.4,)):
        value = accuracies.get(record.method, 0.9)
        rows = [Result("quiz", "accuracy", value, value - 0.04, value + 0.04, 500, 0.02, chance)]
        rows += [Result("quiz", "majority", majority, count=500)] if majority is not None else []
        records.append(replace(record, results=(*rows, replace(rows[0], dataset="average")), detail={}))
    return floors(list(per_model(summarise(records, METHODS))))


def test_who_is_above_is_not_named():
    assert said({}) == said({"d-rank": 0.35}) == []


def test_who_is_below_or_not_told_from_it_is_named():
    (sentence,) = said({"svd": 0.22, "d-rank": 0.33})
    told = "always giving the same answer, or guessing, is right at 30.0\u202f% of quiz, and not shown to do better are"
    assert sentence == f"m: {told} SVD at 40\u202f% (22.0\u202f%) and D-Rank at 40\u202f% (33.0\u202f%)."


def test_the_higher_of_both_levels_counts():
    assert len(said({"svd": 0.45}, majority=0.3, chance=0.5)) == len(said({"svd": 0.45}, majority=0.5, chance=0.3)) == 1


def test_the_dense_model_is_named_and_controls_are_not():
    (sentence,) = said({"dense": 0.3, "random-ranks": 0.1, "full-rank": 0.1})
    assert sentence.endswith("not shown to do better are Dense (30.0\u202f%).")


def test_nothing_is_said_where_the_level_is_not_known():
    assert said({"svd": 0.1}, majority=None) == []
