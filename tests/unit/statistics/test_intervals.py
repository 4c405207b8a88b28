"""Intervals over windows: against scipy, against simulation, and by what must hold of any."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from drank.statistics.intervals import Estimate, average, freedom_of, mean_interval, mean_of, perplexity_interval
from tests.unit.statistics.windows import windows


def test_windows_of_one_size_have_the_interval_of_a_mean():
    """Where all weights are equal the ratio is a mean, and scipy knows its interval and its test."""
    values = np.random.default_rng(5).normal(2.5, 0.3, 20)
    found = mean_of(values * 511, np.full(20, 511))
    low, high = stats.t.interval(0.95, 19, values.mean(), stats.sem(values))
    assert tuple(found.interval) == pytest.approx((values.mean(), low, high))
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert perplexity_interval(values * 511, np.full(20, 511)).high == pytest.approx(math.exp(high))


def test_the_error_of_a_ratio_is_that_of_repeated_draws():
    generator = np.random.default_rng(2)
    draws = []
    for _ in range(4000):
        tokens = generator.integers(50, 512, 40)
        draws.append(mean_of(tokens * generator.normal(2, 0.2, 40), tokens))
    assert np.mean([one.stderr for one in draws]) == pytest.approx(np.std([one.value for one in draws]), rel=0.05)


@pytest.mark.parametrize("freedom", [15, 199])
def test_the_detectable_difference_is_found_in_four_cases_of_five(freedom):
    generator, shift = np.random.default_rng(4), Estimate(0.0, 1 / math.sqrt(freedom + 1), freedom).detectable
    samples = generator.normal(shift, 1, (4000, freedom + 1))
    found = stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.025)


def test_an_average_is_that_of_welch():
    generator = np.random.default_rng(8)
    one, two = generator.normal(0, 1, 12), generator.normal(0.3, 3, 30)
    parts = [mean_of(one, np.ones(12)), mean_of(-two, np.ones(30))]
    welch = stats.ttest_ind(one, two, equal_var=False)
    found = average(parts)
    assert (found.p, found.freedom) == pytest.approx((welch.pvalue, welch.df))
    assert found.value == pytest.approx((one.mean() - two.mean()) / 2)
    assert average([Estimate(0.5, 0.0, 9), Estimate(0.1, 0.0, 9)]).interval == (0.3, 0.3, 0.3)


def test_one_window_has_no_interval_and_says_nothing():
    found = mean_of([5.0], [2])
    assert found.value == 2.5
    assert all(math.isnan(number) for number in (found.interval.low, found.interval.high, found.p, found.detectable))
    assert not found.interval.excludes_zero


def test_units_that_agree_are_a_sign_test():
    """Two that agree say little, and six something; of what is zero in all of them nothing is to be told."""
    for count in (2, 5, 6, 20):
        found = mean_of(np.arange(1.0, count + 1), 2 * np.arange(1, count + 1))
        even = mean_of(np.ones(count), np.ones(count))
        assert even.p == pytest.approx(stats.binomtest(count, count).pvalue) and found.value == 0.5
        assert even.interval.excludes_zero == (even.p < 0.05) == (count >= 6)
        assert even.interval.low == even.interval.high == 1 if count >= 6 else math.isnan(even.interval.low)
    assert mean_of([0.0, 0.0], [1, 1]).p == 1
    assert math.isnan(mean_of([0.0, 0.0], [1, 1]).detectable)


def explicit(tokens):
    """E of the squared error over its true value, and 2 E²/Var, with the matrix of the form and the variance of every unit one."""
    share = tokens / tokens.sum()
    map_ = np.diag(share) @ (np.eye(len(share)) - np.outer(np.ones(len(share)), share))
    form = map_.T @ np.diag(1 / (1 - 2 * share + share @ share)) @ map_
    return np.trace(form) / (share @ share), np.trace(form) ** 2 / np.trace(form @ form)


@pytest.mark.parametrize("tokens", [[7, 7, 7], [511, 4], [511, 511, 4], [5, 3, 2, 9, 1], [2047] * 20 + [5], [100_000, 1]])
def test_the_error_is_right_on_average_whatever_the_sizes_of_units(tokens):
    tokens = np.array(tokens, float)
    mean, freedom = explicit(tokens)
    assert mean == pytest.approx(1) and freedom_of(tokens / tokens.sum()) == pytest.approx(freedom, rel=1e-5)
    loss = tokens * np.random.default_rng(len(tokens)).normal(2, 0.4, len(tokens))
    found, share = mean_of(loss, tokens), tokens / tokens.sum()
    residuals = share * (loss / tokens - loss.sum() / tokens.sum())
    assert found.stderr**2 == pytest.approx((residuals**2 / (1 - 2 * share + share @ share)).sum(), rel=1e-6)
    assert found.freedom == freedom_of(share)


@pytest.mark.parametrize("tokens", [[511, 4], [511, 511, 4], [511] * 3 + [30], [400, 300, 511, 200, 100]])
def test_few_windows_and_a_stub_are_not_surer_than_they_say(tokens):
    generator, tokens = np.random.default_rng(7), np.array(tokens, float)
    held = [
        (interval := mean_of(tokens * generator.normal(2, 0.4, len(tokens)), tokens).interval).low <= 2 <= interval.high
        for _ in range(3000)
    ]
    assert np.mean(held) > 0.94


@given(windows(smallest=2))
def test_the_interval_holds_the_point_estimate(data):
    loss, tokens = data
    found = perplexity_interval(loss, tokens)
    assert math.isnan(found.low) or found.low <= found.value <= found.high
    assert found.value == pytest.approx(math.exp(loss.sum() / tokens.sum()))


@given(windows(smallest=2), st.integers(1, 9))
def test_longer_windows_of_the_same_loss_change_nothing(data, factor):
    loss, tokens = data
    assert tuple(perplexity_interval(loss, tokens)) == pytest.approx(
        tuple(perplexity_interval(loss * factor, tokens * factor)), nan_ok=True
    )


@given(windows(smallest=2))
def test_p_and_the_interval_say_the_same(data):
    loss, tokens = data
    found = mean_of(loss - 3 * tokens, tokens)
    if abs(found.p - 0.05) > 1e-9:
        assert found.interval.excludes_zero == (found.p < 0.05)


def test_a_share_has_no_end_that_a_share_cannot_be():
    assert mean_interval([99, 60], [100, 100], (0, 1))[1:] == (0, 1)
    assert mean_interval([98, 97, 98], [100, 100, 100], (0, 1)).high < 1
    assert math.isnan(mean_interval([99], [100], (0, 1)).high)


@pytest.mark.parametrize(
    ("loss", "tokens", "named"),
    [
        ([], [], "shapes"),
        ([1.0, 2.0], [3], "shapes"),
        ([1.0, math.nan], [3, 4], r"\[1\]"),
        ([1.0, math.inf], [3, 4], r"\[1\]"),
        ([1.0, 1.0], [0, 4], r"\[0\]"),
        ([5000.0], [1], "broken"),
    ],
)
def test_what_is_no_loss_of_windows_is_refused(loss, tokens, named):
    with pytest.raises(ValueError, match=named):
        perplexity_interval(loss, tokens)
