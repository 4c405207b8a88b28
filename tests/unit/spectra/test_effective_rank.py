"""The effective rank: worked by hand, between its bounds, and larger for more even energies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drank.spectra.spectrum import effective_rank

SCALES = st.floats(1e-6, 1e6)


@given(st.integers(1, 500), SCALES)
def test_equal_energies_have_their_number_as_effective_rank(count, level):
    assert effective_rank([level] * count) == pytest.approx(count)
    assert effective_rank([level] * count + [0.0] * 7) == pytest.approx(count)


def test_effective_rank_by_hand():
    """λ = 1/2, 1/4, 1/4: entropy 1.5 ln 2, so R_eff = 2^1.5."""
    assert effective_rank([8.0, 4.0, 4.0]) == pytest.approx(2**1.5)
    p = np.array([9.0, 4.0, 1.0]) / 14
    assert effective_rank(torch.tensor([9.0, 4.0, 1.0])) == pytest.approx(math.exp(-(p * np.log(p)).sum()))
    assert effective_rank([3.0**2, 1.0]) != pytest.approx(effective_rank([3.0, 1.0])), "energies are squared singular values"


def test_effective_rank_of_nothing_is_one():
    assert effective_rank([]) == effective_rank([0.0, 0.0]) == effective_rank([5.0]) == 1.0


@given(st.lists(st.floats(0, 1e100), min_size=1, max_size=50), SCALES)
def test_effective_rank_lies_between_one_and_the_number_of_energies(energies, scale):
    value = effective_rank(energies)
    assert 1 - 1e-9 <= value <= max(1, sum(energy > 0 for energy in energies)) * (1 + 1e-9)
    assert effective_rank([scale * energy for energy in energies]) == pytest.approx(value, rel=1e-6)
    assert effective_rank(energies[::-1]) == pytest.approx(value)


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=10))
def test_evening_out_two_energies_raises_the_effective_rank(energies):
    mean = (energies[0] + energies[1]) / 2
    assert effective_rank([mean, mean, *energies[2:]]) >= effective_rank(energies) * (1 - 1e-9)
