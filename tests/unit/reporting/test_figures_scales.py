"""Round numbers along logarithmic axes."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from drank.reporting.figures.scales import plain, round_values


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
