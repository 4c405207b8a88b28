"""Flips against counts by hand, and their intervals against their equation and by how often they hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.reporting.comparisons import AVERAGE
from drank.reporting.flips import wilson
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


@given(st.integers(1, 500), st.data())
def test_wilson_is_where_the_share_lies_1_96_errors_from_its_ends(items, data):
    hits = data.draw(st.integers(0, items))
    share, low, high = wilson(hits, items)
    assert 0 <= low <= share <= high <= 1 and low < high
    for end in (low, high):
        if 0 < end < 1:
            assert abs(share - end) == pytest.approx(1.96 * np.sqrt(end * (1 - end) / items), rel=1e-6, abs=1e-9)


def test_wilson_holds_the_share_as_often_as_it_says():
    random = np.random.default_rng(0)
    held = [low <= 0.1 <= high for _, low, high in (wilson(hits, 200) for hits in random.binomial(200, 0.1, 4000))]
    assert 0.93 < np.mean(held) < 0.97
