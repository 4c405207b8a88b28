"""Rates and speedups follow from the seconds of the rounds, within each round."""

from __future__ import annotations

import pytest

from drank.evaluation.rates import rows_of, speed
from drank.evaluation.throughput import Timing

OWN = Timing({"prefill": [1.0, 2.0, 8.0], "decode": [4.0, 2.0, 1.0]}, {"model_bytes": 5, "cache_bytes": 2, "peak_tensor_bytes": 9})
DENSE = Timing({"prefill": [2.0, 4.0, 20.0], "decode": [2.0, 2.0, 2.0]}, OWN.memory)
TOKENS = {"prefill": 12, "decode": 8}


def rows(reference=None, noise=None):
    return {(row["dataset"], row["metric"]): row for row in rows_of(OWN, TOKENS, reference, noise or {})}


def test_tokens_per_second_are_the_median_with_quartiles() -> None:
    found = rows()
    assert found.keys() == {(phase, "tokens_per_second") for phase in TOKENS} | {("memory", name) for name in OWN.memory}
    prefill = found["prefill", "tokens_per_second"]
    assert (prefill["ci_low"], prefill["value"], prefill["ci_high"], prefill["count"]) == (3.75, 6.0, 9.0, 3)
    assert found["memory", "peak_tensor_bytes"]["value"] == 9


def test_a_speedup_is_within_the_round_and_so_free_of_what_slowed_both() -> None:
    found = rows(DENSE)
    prefill = found["prefill", "speedup_over_dense"]
    assert (prefill["ci_low"], prefill["value"], prefill["ci_high"]) == (2.0, 2.0, 2.25)
    assert found["decode", "speedup_over_dense"]["value"] == 1.0
    assert speed(OWN, "prefill", DENSE) == 2.0 and speed(OWN, "prefill", None) == 0.5


def test_noise_stands_with_its_phase() -> None:
    assert rows(noise={"decode": 1.25})["decode", "noise_ratio"]["value"] == 1.25
    assert ("prefill", "noise_ratio") not in rows(noise={"decode": 1.25})


def test_one_round_has_no_spread() -> None:
    (row, *_) = rows_of(Timing({"prefill": [2.0]}, {}), TOKENS, None, {})
    assert row["ci_low"] == row["value"] == row["ci_high"] == pytest.approx(6.0)
