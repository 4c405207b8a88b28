"""Groups of tasks in a summary: their differences and flips out of those of their tasks, which stand there and compete nowhere."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from drank.reporting.flips import flips
from drank.reporting.manuscript.setup import setup
from drank.reporting.records import Result
from drank.reporting.summary import summarise
from drank.reporting.tables.numbers import Numbers
from drank.runtime.grouping import AVERAGE
from tests.unit.records_fixture import zeroshot_record

SHARES = {"g/one": 0.25, "g/two": 0.75}


def record_of(method, ratio, seed, shares=SHARES):
    """A record of a group of two tasks, 40 and 120 items, and of one task beside it."""
    draw, base = np.random.default_rng(seed), zeroshot_record("m", method, ratio)
    correct = {name: draw.integers(0, 2, size).tolist() for name, size in {"g/one": 40, "g/two": 120, "alone": 30}.items()}
    means = {name: float(np.mean(found)) for name, found in correct.items()}
    means["g"] = sum(share * means[name] for name, share in shares.items())
    means[AVERAGE] = (means["g"] + means["alone"]) / 2
    detail = {name: {"version": 1, "correct": found} for name, found in correct.items()} | {"g": {"version": 2, "shares": shares}}
    order = ("g", "g/one", "g/two", "alone", AVERAGE)
    results = tuple(Result(name, "accuracy", means[name], means[name], means[name], 40, 0.01, 0.25) for name in order)
    return replace(base, results=results, detail=detail)


@pytest.fixture
def records():
    methods = {"dense": 0.0, "svd-llm": 0.2, "basis-sharing": 0.2, "d-rank": 0.2}
    return {method: record_of(method, ratio, seed) for seed, (method, ratio) in enumerate(methods.items())}


@pytest.fixture
def frame(records):
    return summarise([*records.values()])


def test_a_difference_of_groups_is_that_of_its_tasks_by_their_shares(records, frame):
    rows = frame.query("method == 'd-rank'").set_index(["dataset", "metric"])
    one, two = (records[method].detail for method in ("d-rank", "dense"))
    gaps = {name: np.subtract(one[name]["correct"], two[name]["correct"]) for name in (*SHARES, "alone")}
    value = sum(share * gaps[name].mean() for name, share in SHARES.items())
    error = math.hypot(*(share * gaps[name].std(ddof=1) / math.sqrt(len(gaps[name])) for name, share in SHARES.items()))
    told = rows.loc[("g", "accuracy_minus_dense")]
    assert (told["value"], told["stderr"]) == pytest.approx((value, error))
    assert told["ci_low"] < value < told["ci_high"] and 0 < told["p"] < 1
    assert rows.loc[(AVERAGE, "accuracy_minus_dense"), "value"] == pytest.approx((value + gaps["alone"].mean()) / 2)
    flipped = {name: np.abs(gap).mean() for name, gap in gaps.items()}
    assert rows.loc[("g", "flips"), "value"] == pytest.approx(0.25 * flipped["g/one"] + 0.75 * flipped["g/two"])
    assert rows.loc[(AVERAGE, "flips"), "value"] == pytest.approx((rows.loc[("g", "flips"), "value"] + flipped["alone"]) / 2)


def test_flips_of_a_group_hold_the_truth_as_often_as_they_say():
    draw, shares, truth = np.random.default_rng(0), {"a": 0.25, "b": 0.75}, {"a": 0.02, "b": 0.1}
    mean, held = sum(share * truth[name] for name, share in shares.items()), []
    for _ in range(1000):
        now = {name: {"correct": (draw.random(60) < chance).astype(int).tolist()} for name, chance in truth.items()}
        before = {name: {"correct": [0] * 60} for name in truth}
        (found,) = [row for row in flips(shares, now, before, {"g": shares}) if (row.dataset, row.metric) == ("g", "flips")]
        held.append(found.ci_low <= mean <= found.ci_high)
    assert 0.93 < np.mean(held) < 0.98
    none = {name: {"correct": [0] * 60} for name in truth}
    (found,) = [row for row in flips(shares, none, none, {"g": shares}) if (row.dataset, row.metric) == ("g", "flips")]
    assert found.value == found.ci_low == 0 < found.ci_high < 0.1


def test_tasks_of_a_group_compete_through_it_alone(frame):
    contests = frame[frame["place"].notna()]
    assert set(contests["dataset"]) == {"g", "alone", AVERAGE}
    assert {"g/one", "g/two"} <= set(frame["dataset"])
    assert Numbers(frame, "m").datasets("accuracy") == ["g", "alone", AVERAGE]


def test_groups_made_up_otherwise_are_not_compared(records):
    other = record_of("dense", 0.0, 0, {"g/one": 0.5, "g/two": 0.5})
    rows = summarise([other, records["d-rank"]]).query("method == 'd-rank' and metric == 'accuracy_minus_dense'")
    assert set(rows["dataset"]) == {"g/one", "g/two", "alone"}


def test_the_setup_of_a_manuscript_names_the_group(records):
    (told,) = [line for line in setup([*records.values()]) if "Zero-shot accuracy" in line]
    assert told.endswith("is measured on g and alone (40 items each).")
