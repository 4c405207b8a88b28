"""The interval of a median is between two of the values, as narrow as its level allows, and holds the true median as often as it says."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.statistics.medians import median_interval

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@pytest.mark.parametrize(("count", "place"), [(6, 1), (8, 1), (9, 2), (11, 2), (12, 3), (15, 4), (20, 6)])
def test_the_ends_are_those_of_the_tables(count: int, place: int) -> None:
    """David and Nagaraja, and every table of the sign test."""
    assert median_interval(range(1, count + 1)) == ((count + 1) / 2, place, count + 1 - place)


def test_five_rounds_cannot_say_it() -> None:
    value, low, high = median_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert value == 3.0 and math.isnan(low) and math.isnan(high)
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0], level=0.9).low == 1.0
    assert median_interval([2.0]).ends == {}


@given(VALUES)
def test_it_holds_the_median_and_does_not_hang_on_the_order(values: list[float]) -> None:
    found = median_interval(values)
    assert found.value == statistics.median(values)
    assert len(values) < 6 or found.low <= found.value <= found.high
    assert len(values) < 6 or found == median_interval(values[::-1])


@given(VALUES.filter(lambda values: len(values) > 5))
def test_a_higher_level_is_no_narrower(values: list[float]) -> None:
    sure, surer = median_interval(values), median_interval(values, 0.96)
    assert surer.low <= sure.low and sure.high <= surer.high


def test_it_covers_what_it_says_of_skewed_times() -> None:
    drawn = np.random.default_rng(0).lognormal(0, 1, (2000, 9))
    held = [low <= 1 <= high for _, low, high in map(median_interval, drawn.tolist())]
    assert 0.95 <= np.mean(held) <= 0.975, "nine rounds cover 96.1 %"


def test_no_value_has_no_median() -> None:
    with pytest.raises(ValueError, match="at least one"):
        median_interval([])
