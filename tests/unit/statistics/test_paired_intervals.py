import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.statistics.bootstrap import Interval, perplexity_interval
from drank.statistics.paired_intervals import paired_difference

TOKENS = st.integers(1, 600)
LOSS = st.floats(0.01, 12)


@st.composite
def windows(draw, smallest=1):
    tokens = np.array(draw(st.lists(TOKENS, min_size=smallest, max_size=30)))
    loss = np.array(draw(st.lists(LOSS, min_size=len(tokens), max_size=len(tokens)))) * tokens
    return loss, tokens


def brute_force(loss, tokens, resamples, seed):
    """The same bootstrap, one window drawn after the other."""
    counts = np.random.default_rng(seed).multinomial(len(loss), np.full(len(loss), 1 / len(loss)), resamples)
    means = []
    for row in counts:
        drawn = [window for window, count in enumerate(row) for _ in range(count)]
        means.append(math.fsum(loss[drawn]) / sum(tokens[drawn]))
    return np.array(means)


def test_agrees_with_a_bootstrap_that_draws_window_by_window():
    generator = np.random.default_rng(5)
    tokens = generator.integers(100, 512, 20)
    loss = tokens * generator.uniform(2, 3, 20)
    means = brute_force(loss, tokens, 300, 7)
    found = perplexity_interval(loss, tokens, resamples=300, seed=7)
    assert found.value == pytest.approx(math.exp(loss.sum() / tokens.sum()))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(np.exp(means), [0.025, 0.975])))


def test_paired_agrees_with_a_bootstrap_that_draws_window_by_window():
    generator = np.random.default_rng(6)
    tokens = generator.integers(100, 512, 20)
    one, two = tokens * generator.uniform(2, 3, 20), tokens * generator.uniform(2, 3, 20)
    first, second = brute_force(one, tokens, 300, 3), brute_force(two, tokens, 300, 3)
    found = paired_difference(one, tokens, two, tokens, resamples=300, seed=3)
    assert found.perplexity[1:] == pytest.approx(tuple(np.quantile(np.exp(first) - np.exp(second), [0.025, 0.975])))
    assert found.log_perplexity[1:] == pytest.approx(tuple(np.quantile(first - second, [0.025, 0.975])))
    assert found.log_perplexity.value == pytest.approx((one.sum() - two.sum()) / tokens.sum())


def test_covers_the_truth_about_as_often_as_it_says():
    hits = 0
    for seed in range(200):
        loss = np.random.default_rng(seed).normal(2.0, 0.2, 60) * 100
        found = perplexity_interval(loss, np.full(60, 100), seed=seed)
        hits += found.low <= math.exp(2.0) <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_pairing_is_sharper_than_two_intervals():
    generator = np.random.default_rng(1)
    hard = generator.normal(2.5, 0.4, 48)
    tokens = np.full(48, 511)
    one, two = (hard + 0.05) * tokens, (hard + generator.normal(0, 0.01, 48)) * tokens
    paired = paired_difference(one, tokens, two, tokens).perplexity
    assert paired.excludes_zero
    assert perplexity_interval(one, tokens).low < perplexity_interval(two, tokens).high
    assert perplexity_interval(two, tokens).low < perplexity_interval(one, tokens).high


@given(windows())
def test_the_interval_holds_the_point_estimate(data):
    loss, tokens = data
    found = perplexity_interval(loss, tokens, resamples=50)
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(math.exp(loss.sum() / tokens.sum()))


@given(windows())
def test_a_model_does_not_differ_from_itself(data):
    loss, tokens = data
    found = paired_difference(loss, tokens, loss, tokens, resamples=50)
    assert found.perplexity == found.log_perplexity == Interval(0, 0, 0)


@given(windows(), st.floats(0.01, 2))
def test_a_constant_gap_is_found_exactly(data, gap):
    loss, tokens = data
    found = paired_difference(loss + gap * tokens, tokens, loss, tokens, resamples=50).log_perplexity
    assert tuple(found) == pytest.approx((gap, gap, gap), rel=1e-6, abs=1e-9)


@given(windows(), windows())
def test_swapping_the_models_swaps_the_sign(data, other):
    loss, tokens = data
    changed = loss + np.resize(other[0], len(loss))
    one = paired_difference(loss, tokens, changed, tokens, resamples=50)
    two = paired_difference(changed, tokens, loss, tokens, resamples=50)
    assert one.perplexity.value == -two.perplexity.value
    assert one.log_perplexity.low == pytest.approx(-two.log_perplexity.high, abs=1e-12)


@given(windows(smallest=2), st.integers(1, 9))
def test_longer_windows_of_the_same_loss_change_nothing(data, factor):
    loss, tokens = data
    one, two = perplexity_interval(loss, tokens, resamples=50), perplexity_interval(loss * factor, tokens * factor, resamples=50)
    assert tuple(one) == pytest.approx(tuple(two))


def test_the_seed_decides():
    loss, tokens = np.arange(1.0, 20) * 100, np.full(19, 300)
    assert perplexity_interval(loss, tokens, seed=1) == perplexity_interval(loss, tokens, seed=1)
    assert perplexity_interval(loss, tokens, seed=1) != perplexity_interval(loss, tokens, seed=2)


@pytest.mark.parametrize("tokens", [[3, 4], [3, 4, 6], [4, 3, 5]])
def test_different_windows_are_refused(tokens):
    with pytest.raises(ValueError, match="same windows"):
        paired_difference([1.0, 2.0, 3.0], [3, 4, 5], np.ones(len(tokens)), tokens)


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
