"""Colours and marks tell methods apart, and are the same in every figure."""

import pytest

from drank.reporting.figures.style import LOOKS, SPARE, looks


def test_looks_are_distinct_and_do_not_depend_on_the_order():
    every = [*LOOKS, "new", "another"]
    assert len(set(looks(every).values())) == len(every)
    assert looks(every)["new"] == looks(["new", "d-rank", "another"])["new"]
    assert len(set(SPARE) | set(LOOKS.values())) == len(SPARE) + len(LOOKS)
    with pytest.raises(ValueError, match=f"{len(SPARE) + 1} methods"):
        looks([f"m{index}" for index in range(len(SPARE) + 1)])
