"""Proportions: Wilson's interval against its equation, passages against a bootstrap of them, and by how often the intervals hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.statistics.proportions import mean_proportion, proportion_of, wilson


def drawn(random, passages, share, alike):
    """Whether items are hit, and their passages of one to seven; a passage's chance is beta, by which items are correlated by `alike`."""
    of = np.repeat(np.arange(passages), random.integers(1, 8, passages))
    chances = random.beta(*(np.array([share, 1 - share]) * (1 / alike - 1)), passages) if alike else np.full(passages, share)
    return random.random(len(of)) < chances[of], of.tolist()


def coverage(intervals, truth):
    return np.mean([low <= truth <= high for low, high in intervals])


@given(st.integers(2, 500), st.data())
def test_the_ends_are_where_the_share_lies_1_96_errors_away(items, data):
    hits = data.draw(st.integers(0, items))
    share, low, high, count, _ = proportion_of([1] * hits + [0] * (items - hits))
    assert (share, count) == (hits / items, items)
    assert (low, high) == pytest.approx(wilson(share, items)), "items that stand alone are independent"
    assert 0 <= low <= share <= high <= 1 and low < high
    for end in (low, high):
        if 0 < end < 1:
            assert abs(share - end) == pytest.approx(1.96 * np.sqrt(end * (1 - end) / items), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("passages", [8, 32])
@pytest.mark.parametrize("share", [0.03, 0.1, 0.4])
@pytest.mark.parametrize("alike", [0, 0.1, 0.5])
def test_intervals_hold_the_share_whatever_passages_have_in_common(passages, share, alike):
    random = np.random.default_rng(int(1000 * (share + alike)) + passages)
    found = [proportion_of(*drawn(random, passages, share, alike)) for _ in range(1000)]
    assert coverage([(one.low, one.high) for one in found], share) > 0.92


def test_items_as_if_they_stood_alone_would_not():
    random = np.random.default_rng(6)
    held = coverage([proportion_of(drawn(random, 32, 0.1, 0.5)[0])[1:3] for _ in range(1000)], 0.1)
    assert held < 0.8, "and by that the test above can fail"


def test_many_hits_have_the_error_of_a_bootstrap_over_passages():
    random = np.random.default_rng(3)
    hit, of = drawn(random, 400, 0.3, 0.4)
    found, parts = proportion_of(hit, of), [hit[np.equal(of, passage)] for passage in range(400)]
    means = [np.concatenate([parts[i] for i in random.integers(0, 400, 400)]).mean() for _ in range(1000)]
    assert found.stderr == pytest.approx(np.std(means), rel=0.08)
    assert (found.low, found.high) == pytest.approx(np.quantile(means, (0.025, 0.975)), abs=0.006)


@pytest.mark.parametrize("hit", [0, 1])
def test_without_a_difference_passages_are_the_items(hit):
    found = proportion_of([hit] * 60, np.repeat(range(20), 3).tolist())
    assert (found.value, found.stderr) == (hit, 0) and (found.low, found.high) == pytest.approx(wilson(hit, 20))


def test_a_first_hit_narrows_little_and_hits_of_one_passage_widen():
    of = np.repeat(range(20), 3).tolist()
    none, one, whole = (proportion_of([1] * hits + [0] * (60 - hits), of) for hits in (0, 1, 3))
    apart = proportion_of([int(place in (0, 3, 6)) for place in range(60)], of)
    assert wilson(1 / 60, 60)[1] < one.high < wilson(1 / 60, 20)[1] and none.high < whole.high
    assert apart.value == whole.value and whole.low < apart.low and apart.high < whole.high


def test_passages_have_no_order_and_any_name():
    random = np.random.default_rng(9)
    hit, of = drawn(random, 12, 0.2, 0.3)
    places = random.permutation(len(of))
    assert proportion_of(hit[places], [100 - 7 * of[place] for place in places]) == pytest.approx(proportion_of(hit, of))


def test_one_passage_tells_no_interval_and_every_item_has_one():
    found = proportion_of([1, 0, 1], [4, 4, 4])
    assert found.value == pytest.approx(2 / 3) and found.items == 3 and all(map(math.isnan, (found.low, found.high, found.stderr)))
    with pytest.raises(ValueError, match="3 items and 2 passages"):
        proportion_of([1, 0, 1], [0, 1])


@pytest.mark.parametrize("shares", [(0.0, 0.0, 0.0), (0.01, 0.02, 0.05), (0.1, 0.3, 0.6)])
def test_the_mean_of_tasks_holds_and_is_no_point(shares):
    random, truth, found = np.random.default_rng(11), sum(shares) / 3, []
    for _ in range(400):
        found.append(
            mean_proportion(
                [proportion_of(*drawn(random, 24, share, 0.2 if share else 0)) for share in shares], [1 / len(shares)] * len(shares)
            )
        )
        assert 0 <= found[-1].low <= found[-1].value <= found[-1].high <= 1 and found[-1].low < found[-1].high
    assert coverage([(one.low, one.high) for one in found], truth) > 0.92
    assert np.mean([one.stderr for one in found]) == pytest.approx(np.std([one.value for one in found]), rel=0.15, abs=1e-12)
