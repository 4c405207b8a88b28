"""Text found in another text, against a search run by run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.corpora import overlap
from drank.corpora.overlap import RUN, found_in

FEW_TOKENS = st.lists(st.integers(0, 1), max_size=90)


def searched(text, other, run):
    """The same by a set of all runs."""
    runs = {tuple(other[place : place + run]) for place in range(len(other) - run + 1)}
    own = [tuple(text[place : place + run]) for place in range(len(text) - run + 1)]
    return sum(one in runs for one in own), len(own)


@given(FEW_TOKENS, FEW_TOKENS, st.integers(1, 12))
def test_it_is_what_a_search_run_by_run_finds(text, other, run):
    assert found_in(text, other, run) == searched(text, other, run)


@pytest.mark.parametrize("at_once", [64, 100])
def test_a_long_text_is_looked_at_part_by_part_and_nothing_is_lost_between(monkeypatch, at_once):
    monkeypatch.setattr(overlap, "AT_ONCE", at_once)
    draw = np.random.default_rng(0)
    for _ in range(20):
        text, other = draw.integers(0, 2, 150), draw.integers(0, 2, 500)
        assert found_in(text, other, 6) == searched(text.tolist(), other.tolist(), 6)


def test_a_part_that_was_put_in_is_found_to_the_run():
    draw = np.random.default_rng(1)
    text, other = draw.integers(0, 50_000, 5000), draw.integers(0, 50_000, 20_000)
    assert found_in(text, other) == (0, 4951)
    other[7000:7300] = text[1200:1500]
    assert found_in(text, other) == (300 - RUN + 1, 4951)
    other[7100] += 1
    assert found_in(text, other) == (100 - RUN + 1 + 199 - RUN + 1, 4951)


@pytest.mark.parametrize(("text", "other", "found"), [([1] * 49, [1] * 99, (0, 0)), ([1] * 60, [1] * 49, (0, 11)), ([], [], (0, 0))])
def test_texts_that_are_shorter_than_a_run(text, other, found):
    assert found_in(text, other) == found


def test_runs_that_hash_alike_are_told_apart(monkeypatch):
    """The hash of a run that says nothing of it: whatever is counted was compared."""
    monkeypatch.setattr(overlap, "_hashes", lambda ids, run: np.zeros(len(ids) - run + 1, np.uint64))
    assert found_in([1, 2, 3], [7, 8, 9], 2) == (0, 2)
