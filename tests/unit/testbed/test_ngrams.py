"""The n-gram baselines against Kneser-Ney written out by its definition."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.testbed.ngrams import ngram_loss


def kneser_ney(train, order, vocabulary):
    """P(word | context of order - 1 tokens), by the definition of Chen & Goodman (1999), eq. 4.31 and following, with dictionaries."""
    tables = {order: Counter(zip(*(train[offset:] for offset in range(order)), strict=False))}
    for n in range(order - 1, 0, -1):
        tables[n] = Counter(gram[1:] for gram in tables[n + 1])
    discounts = {}
    for n, table in tables.items():
        kinds = Counter(table.values())
        discounts[n] = kinds[1] / (kinds[1] + 2 * kinds[2]) if kinds[1] else 0.0

    def probability(word, context):
        n = len(context) + 1
        lower = probability(word, context[1:]) if context else 1 / vocabulary
        followers = {gram[-1]: count for gram, count in tables[n].items() if gram[:-1] == context}
        total = sum(followers.values())
        if not total:
            return lower
        return (max(followers.get(word, 0) - discounts[n], 0) + discounts[n] * len(followers) * lower) / total

    return probability


def loss_by_definition(train, test, order, vocabulary):
    probability = kneser_ney(train, order, vocabulary)
    places = range(order - 1, len(test))
    probabilities = [probability(test[place], tuple(test[place - order + 1 : place])) for place in places]
    return -sum(math.log(value) if value else -math.inf for value in probabilities) / len(places)


def as_ids(tokens):
    return np.asarray(tokens, dtype=np.int64)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_loss_equals_the_definition(order):
    generator = np.random.default_rng(order)
    train = (generator.integers(0, 6, 80) * generator.integers(0, 2, 80)).tolist()
    test = generator.integers(0, 6, 30).tolist()
    assert ngram_loss(as_ids(train), as_ids(test), order, 6) == pytest.approx(loss_by_definition(train, test, order, 6), rel=1e-12)


@given(st.lists(st.integers(0, 3), min_size=12, max_size=40), st.lists(st.integers(0, 3), min_size=3, max_size=12), st.integers(1, 3))
def test_loss_equals_the_definition_on_any_text(train, test, order):
    with np.errstate(divide="ignore"):  # where no gram of an order occurs once, nothing is held back for unseen ones: log 0
        measured = ngram_loss(as_ids(train), as_ids(test), order, 4)
    assert measured == pytest.approx(loss_by_definition(train, test, order, 4), rel=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_probabilities_sum_to_one_over_the_vocabulary(order):
    train = as_ids([0, 1, 2, 0, 1, 3, 0, 2, 1, 1, 4, 0, 0, 1, 2])
    for context in itertools.product(range(5), repeat=order - 1):
        total = sum(math.exp(-ngram_loss(train, as_ids([*context, word]), order, 5)) for word in range(5))
        assert total == pytest.approx(1, rel=1e-12)


def test_longer_contexts_predict_a_regular_text_better():
    text = as_ids([0, 1, 2, 0, 2, 1] * 50)
    losses = [ngram_loss(text[:200], text[200:], order, 3) for order in (1, 2, 3)]
    assert losses[0] > losses[1] > losses[2]
    assert losses[0] == pytest.approx(math.log(3), abs=0.02)


def test_keys_past_64_bits_are_refused():
    with pytest.raises(ValueError, match="order 6 with 3072 tokens does not fit a 64-bit key; lower the order"):
        ngram_loss(as_ids(range(9)), as_ids(range(9)), 6, 3072)
