"""Holm's correction: its example, its definition by steps, its promise under any dependence."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.statistics.holm import adjusted

P = st.floats(0, 1)


def test_an_example_by_hand():
    assert adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted([]) == []
    assert adjusted([0.6, 0.7]) == [1, 1]


def stepwise(values, level):
    """What Holm rejects, as the paper says it: the smallest against level / n, the next against level / (n - 1), until one fails."""
    rejected = set()
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        if values[place] > level / (len(values) - rank):
            break
        rejected.add(place)
    return rejected


@given(st.lists(P, max_size=12), st.floats(0.001, 0.5))
def test_what_is_below_a_level_is_what_the_steps_reject(values, level):
    found = adjusted(values)
    if all(abs(one - level) > 1e-9 for one in found):
        assert {place for place, value in enumerate(found) if value <= level} == stepwise(values, level)


@given(st.lists(P, max_size=12))
def test_nothing_becomes_smaller_or_changes_places(values):
    found = adjusted(values)
    assert all(value <= corrected <= 1 for value, corrected in zip(values, found, strict=True))
    assert [found[place] for place in np.argsort(values, kind="stable")] == sorted(found)


def test_what_was_not_tested_counts_for_nothing():
    found = adjusted([math.nan, 0.02, math.nan, 0.5])
    assert math.isnan(found[0]) and math.isnan(found[2])
    assert [found[1], found[3]] == adjusted([0.02, 0.5])


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_one_false_claim_among_many_is_as_rare_as_the_level(shared):
    from scipy.stats import norm

    generator = np.random.default_rng(1)
    common = generator.normal(0, 1, (4000, 1))
    scores = math.sqrt(shared) * common + math.sqrt(1 - shared) * generator.normal(0, 1, (4000, 10))
    false = [min(adjusted(list(row))) < 0.05 for row in 2 * norm.sf(abs(scores))]
    assert np.mean(false) <= 0.06


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match=r"-0\.1, 2"):
        adjusted([0.5, -0.1, 2])
