"""Colours and marks tell methods apart, and are the same in every figure."""

from itertools import pairwise

import pytest

from drank.reporting.figures.style import LOOKS, SPARE, looks


def test_looks_are_distinct_and_do_not_depend_on_the_order():
    every = [*LOOKS, "new", "another"]
    assert len(set(looks(every).values())) == len(every)
    assert looks(every)["new"] == looks(["new", "d-rank", "another"])["new"]
    assert len(set(SPARE) | set(LOOKS.values())) == len(SPARE) + len(LOOKS)
    with pytest.raises(ValueError, match=f"{len(SPARE) + 1} methods"):
        looks([f"m{index}" for index in range(len(SPARE) + 1)])


def test_methods_without_a_look_of_their_own_differ_in_colour_and_in_marker():
    """As on paper without colour, and for who sees none."""
    assert len({look.marker for look in SPARE[:8]}) == 8
    assert all(one.color != two.color for one, two in pairwise(SPARE[:8]))
    assert len({look.marker for look in LOOKS.values()}) == len(LOOKS)
