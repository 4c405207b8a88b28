"""The loss by position against a loop over all positions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from drank.evaluation.losses import window_losses
from drank.evaluation.positions import FIRST, bands, loss_by_position
from tests.unit.evaluation.measuring import llama, measure


def test_bands_double():
    assert bands(255) == [(1, 32), (33, 64), (65, 128), (129, 255)]
    assert bands(4095)[-2:] == [(1025, 2048), (2049, 4095)] and len(bands(4095)) == 8
    assert bands(5) == [(1, 5)] and bands(0) == []


@given(st.integers(1, 100_000))
def test_bands_hold_every_position_once(tokens):
    found = bands(tokens)
    assert [first for first, _ in found] == [1, *(last + 1 for _, last in found[:-1])] and found[-1][1] == tokens
    assert all(first == 1 or last - first + 1 <= first - 1 for first, last in found) and found[0][1] <= FIRST


def test_it_is_the_mean_of_single_losses(monkeypatch, nine_windows):
    monkeypatch.setattr("drank.evaluation.positions.FIRST", 4)
    model, windows = llama(0), nine_windows.consecutive(16)
    by_position = {}
    for window in windows:
        with torch.no_grad():
            logits = model(window[None]).logits[0, :-1]
        for position, loss in enumerate(cross_entropy(logits, window[1:], reduction="none").tolist(), start=1):
            by_position.setdefault(position, []).append(loss)
    _, detail = measure(model, [nine_windows], 16, None, 3)
    found = detail["toy"]["loss_by_position"]
    assert [(band["first"], band["last"]) for band in found] == [(1, 4), (5, 8), (9, 15)]
    for band in found:
        own = [loss for position in range(band["first"], band["last"] + 1) for loss in by_position[position]]
        assert band["loss"] == pytest.approx(math.fsum(own) / len(own), rel=1e-5) and band["tokens"] == len(own)
        assert band["ci_low"] < band["loss"] < band["ci_high"]
    whole = window_losses(model, windows, "toy", 3)
    assert [len(window) for window in whole.banded] == [3] * 8 + [2], "the last window has five tokens to predict"
    assert [math.fsum(window) for window in whole.banded] == pytest.approx(whole.loss)


def test_a_band_counts_the_windows_that_reach_it():
    found = loss_by_position([[32.0, 8.0], [64.0]], [36, 32])
    assert [(band["loss"], band["tokens"]) for band in found] == [(1.5, 64), (2.0, 4)]
