"""Flips against counts by hand, and what of their intervals is theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drank.reporting.comparisons import AVERAGE
from drank.reporting.summary import summarise
from tests.unit.records_fixture import zeroshot_record


def rows_of(now, before, methods=("dense", "d-rank")):
    """The rows of flips of two sides, by task and metric, of which each says the detail of its tasks."""
    records = []
    for (method, ratio), side in zip(((methods[0], 0.0), (methods[1], 0.2)), (before, now), strict=True):
        record = zeroshot_record("m", method, ratio)
        kept = tuple(row for row in record.results if row.dataset in (*side, AVERAGE))
        records.append(replace(record, results=kept, detail={task: {"version": 1.0, **told} for task, told in side.items()}))
    frame = summarise(records).query("method == @methods[1]")
    told = frame[frame["metric"].str.contains("flips|answers_changed")]
    return {(row.dataset, row.metric): row for row in told.itertuples()}


def test_both_ways_and_other_wrong_answers_are_counted():
    before = {"continuation": {"correct": [1, 1, 1, 0, 0, 0, 0, 1], "chosen": [0, 1, 2, 3, 0, 1, 2, 0]}}
    now = {"continuation": {"correct": [1, 0, 0, 1, 0, 0, 0, 1], "chosen": [0, 2, 0, 2, 0, 3, 2, 0]}}
    found = rows_of(now, before)
    values = {metric: row.value * 8 for (task, metric), row in found.items() if task == "continuation"}
    assert values == {"flips": 3, "flips_to_wrong": 2, "flips_to_right": 1, "answers_changed": 4}
    for row in found.values():
        assert row.ci_low < row.value < row.ci_high and row.count == 8


def test_the_difference_in_accuracy_is_what_does_not_cancel():
    dense, other = zeroshot_record("m", "dense", 0.0), zeroshot_record("m", "d-rank", 0.4)
    frame = summarise([dense, other]).query("method == 'd-rank'").set_index(["dataset", "metric"])["value"]
    tasks = [*dense.detail, AVERAGE]
    for task in tasks:
        assert frame[task, "flips"] == pytest.approx(frame[task, "flips_to_wrong"] + frame[task, "flips_to_right"])
        assert frame[task, "accuracy_minus_dense"] == pytest.approx(frame[task, "flips_to_right"] - frame[task, "flips_to_wrong"])
    assert frame[AVERAGE, "flips"] == pytest.approx(np.mean([frame[task, "flips"] for task in dense.detail]))
    assert ("continuation", "answers_changed") not in frame, "records of before do not tell which answer was chosen"


@pytest.mark.parametrize("odd", [[0.5, 1, 0], [0.25, 0.5, 0.75]])
def test_credit_in_part_does_not_flip(odd):
    plain, partly = {"correct": [1, 0, 1]}, {"correct": odd}
    found = rows_of({"continuation": plain, "section-heading": partly}, {"continuation": plain, "section-heading": partly})
    assert {task for task, _ in found} == {"continuation"}, "and there is no average of one of two"


def test_only_dense_is_flipped_against():
    frame = summarise([zeroshot_record("m", "svd-llm", 0.2), zeroshot_record("m", "d-rank", 0.2)])
    assert frame["metric"].str.contains("accuracy_minus_svd-llm").any() and not frame["metric"].str.contains("flips").any()


def test_items_of_one_passage_are_not_independent_and_stand_so_in_either_record():
    before, of = [1] * 40, [place // 4 for place in range(40)]
    now = [int(place >= 8) for place in range(40)]
    told = {side: ({"correct": side_, "passages": of}, {"correct": side_}) for side, side_ in (("now", now), ("before", before))}
    wide, same, narrow = (
        rows_of({"continuation": told["now"][i]}, {"continuation": told["before"][j]})["continuation", "flips"]
        for i, j in ((0, 0), (1, 0), (1, 1))
    )
    assert wide.value == narrow.value == 0.2
    assert wide.ci_low < narrow.ci_low and narrow.ci_high < wide.ci_high and wide.stderr > 1.5 * narrow.stderr
    assert (same.ci_low, same.ci_high, same.stderr) == (wide.ci_low, wide.ci_high, wide.stderr)


def test_models_that_answer_alike_have_no_flips_in_an_interval_with_a_width():
    side = {task: {"correct": [1, 0] * 15, "passages": [place // 3 for place in range(30)]} for task in ("continuation", "section-heading")}
    found = rows_of(side, side)
    assert (AVERAGE, "flips") in found
    for row in found.values():
        assert row.value == row.ci_low == row.stderr == 0 and 0.1 < row.ci_high < 0.4
