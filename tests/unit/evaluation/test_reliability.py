"""Calibration error against all probabilities in float64, bin by bin."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaForCausalLM

from drank.evaluation.losses import WindowLosses, window_losses
from drank.evaluation.reliability import BINS, binned, calibration_error
from drank.runtime.shares import Share
from tests.unit.evaluation.measuring import llama, measure


def by_hand(model, windows):
    """The error over all predicted positions: of each bin |share right − mean confidence|, by its share of tokens (Guo et al., eq. 3)."""
    wide = LlamaForCausalLM(model.config).double().eval()
    wide.load_state_dict(model.state_dict())
    confidence, right = [], []
    for window in windows:
        with torch.no_grad():
            logits = wide(window[None]).logits[0, :-1].numpy()
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        confidence += probabilities.max(1).tolist()
        right += (probabilities.argmax(1) == window[1:].numpy()).tolist()
    confidence, right = np.array(confidence), np.array(right, float)
    edges = np.linspace(0, 1, BINS + 1)
    inside = [(confidence >= low) & (confidence < high) for low, high in pairwise(edges)]
    error = sum(own.mean() * abs(right[own].mean() - confidence[own].mean()) for own in inside if own.any())
    return error, [int(own.sum()) for own in inside]


def test_it_is_that_of_all_probabilities(nine_windows):
    model = llama(0)
    windows = nine_windows.consecutive(16)
    error, counts = by_hand(model, windows)
    rows, detail = measure(model, [nine_windows], 16, None, 3)
    (row,) = (row for row in rows if row["metric"] == "calibration_error")
    assert row["value"] == pytest.approx(error, rel=1e-5) and error > 0.05
    assert row["ci_low"] < row["value"] < row["ci_high"] and row["count"] == sum(counts) == 125
    bins = detail["toy"]["calibration_bins"]
    assert bins["tokens"] == counts and sum(count > 0 for count in counts) > 5, "several bins are met"
    assert sum(abs(h - c) for h, c in zip(bins["hits"], bins["confidence"], strict=True)) / 125 == pytest.approx(row["value"])


@pytest.mark.parametrize("count", [2, 3, 6])
def test_shares_join_to_the_whole(nine_windows, count):
    model, windows = llama(0), nine_windows.consecutive(16)
    parts = [window_losses(model, windows, "toy", 3, Share(number, count)) for number in range(1, count + 1)]
    whole = window_losses(model, windows, "toy", 3)
    assert WindowLosses.joined(parts) == whole and len(whole.bins) == 9
    assert [sum(bin_[0] for bin_ in window) for window in whole.bins] == whole.tokens


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
def test_every_token_lies_in_one_bin(tokens):
    confidence, right = torch.tensor([c for c, _ in tokens], dtype=torch.float64), torch.tensor([r for _, r in tokens])
    found = binned(confidence, right)
    assert found.shape == (BINS, 3)
    assert found.sum(0).tolist() == pytest.approx([len(tokens), math.fsum(c for c, _ in tokens), sum(r for _, r in tokens)])
    error = calibration_error([found.tolist()] * 6)
    assert 0 <= error.low <= error.value <= error.high and error.value <= 1 + 1e-9


def test_a_confidence_that_is_no_number_is_left_to_the_loss_to_tell():
    assert binned(torch.tensor([math.nan, 1.0]), torch.tensor([False, True]))[:, 0].tolist() == [1, *[0] * (BINS - 2), 1]


def test_intervals_hold_the_error_that_was_planted():
    random = np.random.default_rng(3)

    def drawn(gap):
        confidence = random.uniform(0.2, 0.9, (60, 100))
        right = random.random((60, 100)) < confidence - gap
        return calibration_error([binned(torch.tensor(c), torch.tensor(r)).tolist() for c, r in zip(confidence, right, strict=True)])

    sure = [drawn(0.1) for _ in range(40)]
    assert np.mean([one.value for one in sure]) == pytest.approx(0.1, abs=0.003)
    assert sum(one.low < 0.1 < one.high for one in sure) >= 34, "of 40, where 38 are meant"
    assert max(one.high - one.low for one in sure) < 0.035
    honest = [drawn(0) for _ in range(40)]
    assert sum(one.low == 0 for one in honest) >= 34, "of 40, though what is measured of an honest model is above zero in each"
    assert min(one.value for one in honest) > 0
