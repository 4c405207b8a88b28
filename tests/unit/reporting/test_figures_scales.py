"""Round numbers along logarithmic axes."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from drank.reporting.figures.scales import UPPER, beside, fit, knee_of, plain, round_values


def test_round_values_of_a_narrow_axis():
    assert round_values(8.2, 9.9, 1.5) == [8.5, 9.0, 9.5]
    assert round_values(4, 1100, 1.3) == [10, 100, 1000]
    assert round_values(90, 3300, 1.3) == [100, 300, 1000, 3000]


@given(st.floats(0.01, 1e4), st.floats(1.02, 1e6), st.floats(0.8, 6))
def test_round_values_lie_inside_and_apart(low, quotient, width):
    values = round_values(low, low * quotient, width)
    assert all(low <= value <= low * quotient for value in values)
    inches = [width * math.log(value / low) / math.log(quotient) for value in values]
    assert all(b - a >= 0.06 * max(map(len, map(plain, values))) for a, b in pairwise(inches))
    assert values or quotient < 10


def test_an_axis_folds_where_that_makes_room_for_most_values():
    def knee(*values):
        return knee_of(values, 0.9 * min(values), 1.1 * max(values))

    assert knee(8, 9, 11, 20, 5000) == knee(8, 9, 11, 20, 5000, math.nan) == 1.15 * 20
    assert knee(8, 9, 11, 20) is None  # none is far
    assert knee(5, 500, 510, 520, 530) is None  # the best one alone lies below the gap
    assert knee(11, 12, 13, 14, 18, 37, 55, 122, 272) == 1.15 * 18  # not in the widest gap, which would make no room
    assert knee(11, 12, 15, 15, 16, 22, 26, 56, 57, 76, 182, 304) is None  # a logarithm makes room enough
    assert knee_of([], 1, 2) is None


@pytest.mark.parametrize("far", [400, 2e4, 3e7])
@pytest.mark.parametrize("inches", [0.6, 1.5, 5])
def test_a_folded_axis_can_be_read_in_both_parts(far, inches):
    axes = Figure().subplots()
    assert fit(axes, "x", [8, 9, 20, far], inches, [8, 9, 20, far]) == "folded"
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    knee = 1.15 * 20
    assert [tick for tick in ticks if tick < knee] and [tick for tick in ticks if tick > knee]
    at = [axes.transAxes.inverted().transform(axes.transData.transform((value, 0)))[0] for value in (*ticks, knee)]
    assert at[-1] == pytest.approx(1 - UPPER, abs=0.01) and low < 8 and far < high
    assert all(inches * (b - a) >= beside([one, two]) - 1e-6 for (a, b), (one, two) in zip(pairwise(at[:-1]), pairwise(ticks), strict=True))
