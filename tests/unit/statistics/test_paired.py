"""Paired differences over windows and items: against scipy and simulation, and by what must hold of any."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from drank.statistics.intervals import Interval, perplexity_interval
from drank.statistics.paired import paired_difference, paired_items
from tests.unit.statistics.windows import windows


def test_windows_of_one_size_have_the_paired_test_of_scipy():
    generator = np.random.default_rng(6)
    one, two = generator.normal(2.6, 0.3, 24), generator.normal(2.5, 0.3, 24)
    found, known = paired_difference(one * 100, np.full(24, 100), two * 100, np.full(24, 100)), stats.ttest_rel(one, two)
    assert found.estimate.p == pytest.approx(known.pvalue)
    assert found.log_perplexity[1:] == pytest.approx(tuple(known.confidence_interval(0.95)))
    assert found.log_perplexity.value == pytest.approx((one - two).mean())


def test_a_difference_of_perplexities_has_the_spread_of_repeated_draws():
    generator = np.random.default_rng(3)
    truth = math.exp(3.4) - math.exp(3.1)
    hits = 0
    for _ in range(1500):
        hard, tokens = generator.normal(3.1, 0.3, 48), generator.integers(200, 512, 48)
        found = paired_difference(tokens * (hard + 0.3 + generator.normal(0, 0.1, 48)), tokens, tokens * hard, tokens).perplexity
        hits += found.low <= truth <= found.high
    assert 0.93 <= hits / 1500 <= 0.97


def test_pairing_is_sharper_than_two_intervals():
    generator = np.random.default_rng(1)
    hard = generator.normal(2.5, 0.4, 48)
    tokens = np.full(48, 511)
    one, two = (hard + 0.05) * tokens, (hard + generator.normal(0, 0.01, 48)) * tokens
    paired = paired_difference(one, tokens, two, tokens).perplexity
    assert paired.excludes_zero
    assert perplexity_interval(one, tokens).low < perplexity_interval(two, tokens).high
    assert perplexity_interval(two, tokens).low < perplexity_interval(one, tokens).high


@given(windows(smallest=2))
def test_a_model_does_not_differ_from_itself(data):
    loss, tokens = data
    found = paired_difference(loss, tokens, loss, tokens)
    assert found.perplexity.value == found.log_perplexity.value == 0 and found.estimate.p == 1
    for one in (found.perplexity, found.log_perplexity):
        assert not one.excludes_zero and (one == Interval(0, 0, 0) or math.isnan(one.low)), "too few that agree"


@given(windows(smallest=2), st.floats(0.01, 2))
def test_a_constant_gap_is_found_exactly(data, gap):
    loss, tokens = data
    found = paired_difference(loss + gap * tokens, tokens, loss, tokens).log_perplexity
    assert found.value == pytest.approx(gap, rel=1e-6, abs=1e-9)
    assert all(math.isnan(end) or end == pytest.approx(gap, rel=1e-6, abs=1e-9) for end in found[1:])


@given(windows(smallest=2), windows())
def test_swapping_the_models_swaps_the_sign(data, other):
    loss, tokens = data
    changed = loss + np.resize(other[0], len(loss))
    one, two = paired_difference(loss, tokens, changed, tokens), paired_difference(changed, tokens, loss, tokens)
    assert one.perplexity.value == -two.perplexity.value
    assert one.log_perplexity.low == pytest.approx(-two.log_perplexity.high, abs=1e-12, nan_ok=True)
    assert one.estimate.p == pytest.approx(two.estimate.p)


@pytest.mark.parametrize("tokens", [[3, 4], [3, 4, 6], [4, 3, 5]])
def test_different_windows_are_refused(tokens):
    with pytest.raises(ValueError, match="same windows"):
        paired_difference([1.0, 2.0, 3.0], [3, 4, 5], np.ones(len(tokens)), tokens)


def test_items_without_passages_have_the_paired_test_of_scipy():
    generator = np.random.default_rng(4)
    one, two = (generator.random(300) < level for level in (0.6, 0.5))
    found, known = paired_items(one, two), stats.ttest_rel(one.astype(float), two.astype(float))
    assert (found.value, found.p) == pytest.approx(((one.mean() - two.mean()), known.pvalue))


def test_items_of_a_passage_count_as_one():
    """Four copies of every item say no more than one of each; without the passages they would halve the error."""
    generator = np.random.default_rng(9)
    one, two = (generator.integers(0, 2, 80) for _ in range(2))
    copies, passages = (np.repeat(one, 4), np.repeat(two, 4)), np.repeat(np.arange(80), 4)
    alone, shared = paired_items(one, two), paired_items(*copies, passages)
    assert tuple(shared) == pytest.approx(tuple(alone))
    assert paired_items(*copies).stderr == pytest.approx(alone.stderr / 2, rel=0.01)
    order = generator.permutation(320)
    assert tuple(paired_items(copies[0][order], copies[1][order], passages[order])) == pytest.approx(tuple(alone))


def test_other_items_and_missing_passages_are_refused():
    with pytest.raises(ValueError, match="same items"):
        paired_items([1, 0], [1, 0, 1])
    with pytest.raises(ValueError, match="3 items and 2 passages"):
        paired_items([1, 0, 1], [1, 0, 0], [0, 1])
