"""Windows that were not read: apart from those that were, drawn evenly, and as many as there is room for."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.corpora.unread import unread_places


@given(st.data(), st.integers(1, 120), st.integers(1, 20), st.integers(0, 12), st.integers(0, 3))
def test_they_overlap_nothing_and_are_fewer_only_where_no_place_is_left(data, length, width, count, seed):
    read = data.draw(st.lists(st.integers(0, max(0, length - width)), max_size=5))
    found = unread_places(read, length, width, count, seed)
    assert found == unread_places(read, length, width, count, seed)
    assert len(found) <= count and all(0 <= place <= length - width for place in found)
    for number, place in enumerate(found):
        assert all(abs(place - other) >= width for other in [*read, *found[:number]])
    if len(found) < count:
        assert not [place for place in range(length - width + 1) if all(abs(place - other) >= width for other in [*read, *found])]


def test_every_place_is_as_likely_as_any_other():
    drawn = Counter(unread_places([10, 13], 40, 5, 1, seed)[0] for seed in range(4000))
    assert sorted(drawn) == [*range(6), *range(18, 36)]
    expected = 4000 / len(drawn)
    assert sum((count - expected) ** 2 / expected for count in drawn.values()) < 49.7, "χ² of 23 degrees, 1 in 1000"


@pytest.mark.parametrize("read", [[0], [3], [0, 3]])
def test_a_text_that_was_read_all_over_has_none(read):
    assert unread_places(read, 7, 4, 3, 0) == []
