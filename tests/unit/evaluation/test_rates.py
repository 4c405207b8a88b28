"""Rates, times and ratios follow from the seconds of the rounds, within each round."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.evaluation import rates
from drank.evaluation.ceilings import PRODUCT, READ
from drank.evaluation.rates import in_variant, rows_of, rows_of_threads, tokens_of
from drank.evaluation.roofline import Work
from drank.evaluation.timing import Machine, Timing
from drank.statistics.intervals import Interval

MEMORY = {"model_bytes": 5, "weight_bytes": 4, "cache_bytes": 2, "peak_tensor_bytes": 9}
OWN = Timing({"prefill": [1.0, 2.0, 4.0] * 3, "decode": [4.0, 2.0, 1.0] * 3}, MEMORY)
DENSE = Timing({"prefill": [2.0, 4.0, 10.0] * 3, "decode": [2.0, 2.0, 2.0] * 3}, MEMORY)
TOKENS = {"prefill": 12, "decode": 8}


def rows(timing=OWN, reference=None, noise=None):
    return {(row["dataset"], row["metric"]): row for row in rows_of(timing, TOKENS, reference, noise or {})}


def test_tokens_per_second_are_the_median_with_an_interval_for_it() -> None:
    found = rows()
    times = {("prefill", "time_to_first_token")} | {("memory", name) for name in MEMORY}
    assert found.keys() == {(phase, "tokens_per_second") for phase in TOKENS} | times
    prefill = found["prefill", "tokens_per_second"]
    assert (prefill["ci_low"], prefill["value"], prefill["ci_high"], prefill["count"]) == (3.0, 6.0, 12.0, 9), "2nd and 8th of 9"
    assert found["memory", "peak_tensor_bytes"]["value"] == 9
    assert found["prefill", "time_to_first_token"]["value"] == 2.0


def test_a_speedup_is_within_the_round_and_so_free_of_what_slowed_both() -> None:
    found = rows(reference=DENSE)
    prefill = found["prefill", "speedup_over_dense"]
    assert (prefill["ci_low"], prefill["value"], prefill["ci_high"]) == (2.0, 2.0, 2.5)
    assert found["decode", "speedup_over_dense"]["value"] == 1.0


@given(st.lists(st.floats(0.5, 2), min_size=6, max_size=12), st.floats(0.5, 3))
def test_a_machine_that_slows_all_alike_changes_no_speedup(machine: list[float], gain: float) -> None:
    dense = Timing({"decode": [gain * slow for slow in machine]}, {})
    row = rows(Timing({"decode": machine}, {}), dense)["decode", "speedup_over_dense"]
    assert row["value"] == pytest.approx(gain) and row["ci_low"] == pytest.approx(gain) and row["ci_high"] == pytest.approx(gain)


def test_noise_stands_with_its_phase_and_its_interval() -> None:
    found = rows(noise={"decode": Interval(1.25, 0.9, 1.5)})
    row = found["decode", "noise_ratio"]
    assert (row["value"], row["ci_low"], row["ci_high"], row["count"]) == (1.25, 0.9, 1.5, 9)
    assert ("prefill", "noise_ratio") not in found


def test_few_rounds_have_no_interval() -> None:
    (row, *_) = rows_of(Timing({"prefill": [2.0]}, {}), TOKENS, None, {})
    assert row == {"dataset": "prefill", "metric": "tokens_per_second", "value": 6.0, "count": 1}


def test_the_time_of_a_token_is_the_median_over_rounds_of_that_within_a_round() -> None:
    steps = [[1.0] * 8 + [2.0] * 3, [1.0] * 8 + [3.0] * 3, [1.0] * 8 + [7.0] * 3]
    found = rows(Timing({"decode": [sum(each) for each in steps]}, {}, steps))
    assert found["decode", "time_per_token"]["value"] == 1.0
    assert found["decode", "time_per_token_p90"]["value"] == 3.0
    assert rows(Timing({"decode": [2.0]}, {}, [[2.0]]))["decode", "time_per_token_p90"]["value"] == 2.0, "one token is its own"


def test_the_share_of_the_roofline_is_of_the_best_that_the_machine_did_in_these_rounds() -> None:
    work = {"decode": Work(operations=10, bytes=100)}
    machine = Machine([{READ: 100.0 / slow, PRODUCT: 100.0} for slow in (1, 2, 4)])
    timing = Timing({"decode": [2.0, 4.0, 8.0]}, {}, work=work, operations_per_token=7, machine=machine)
    found = rows(timing)
    assert found["decode", "roofline_share"]["value"] == 0.25, "100 bytes take a second at best, and four in the middle round"
    assert found["decode", "operations_per_token"]["value"] == 7
    assert not [metric for _, metric in rows() if metric in ("roofline_share", "operations_per_token")], "nothing was measured of it"


def test_what_else_the_machine_did_is_told_where_the_system_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "processors", lambda: 2)
    found = {row["metric"]: row for row in rows_of_threads(Machine(other=[0.0, 0.5, 0.9, 0.05]), 2, 2)}
    assert {name: row["value"] for name, row in found.items()} == {
        "threads": 2,
        "threads_asked": 2,
        "in_turn": 1,
        "other_load": pytest.approx(0.275),
        "crowded_rounds": 0.5,
    }
    assert {row["metric"] for row in rows_of_threads(Machine(other=[None]), 1, 2)} == {"threads", "threads_asked", "in_turn"}
    assert {row["metric"]: row["value"] for row in rows_of_threads(Machine(), 1, 2, in_turn=False)}["in_turn"] == 0


def test_rounds_of_different_times_are_not_paired() -> None:
    own, dense = Timing({"decode": [1.0, 2.0, 4.0] * 3}, {}), Timing({"decode": [4.0, 2.0, 8.0] * 3}, {})
    found = {row["metric"]: row for row in rows_of(own, TOKENS, dense, {}, in_turn=False)}["speedup_over_dense"]
    assert found == {"dataset": "decode", "metric": "speedup_over_dense", "count": 9, "value": 2.0}, "of medians, and without an interval"


def test_what_the_machine_did_in_several_timings_counts_each_round_once() -> None:
    one, two = Machine([{"read": 1.0}], [0.1]), Machine([{"read": 2.0}], [0.2])
    timings = [Timing({}, {}, machine=machine) for machine in (one, one, two)]
    assert Machine.together(timings) == Machine([{"read": 1.0}, {"read": 2.0}], [0.1, 0.2])


def test_a_variant_has_data_sets_of_its_own_and_the_plain_one_those_it_always_had() -> None:
    plain = rows_of(OWN, TOKENS, DENSE, {})
    assert in_variant(plain, "plain") == plain
    assert {row["dataset"] for row in in_variant(plain, "fused")} == {"prefill-fused", "decode-fused", "memory-fused"}


def test_the_tokens_of_a_round_are_those_of_all_prompts() -> None:
    assert tokens_of({"batch": 2, "prompt": 6, "generate": 4}) == {"prefill": 12, "decode": 8}
