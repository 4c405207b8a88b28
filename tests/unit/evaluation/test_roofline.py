"""The least time of a phase is that of the tighter ceiling."""

from __future__ import annotations

import pytest

from drank.evaluation.ceilings import PRODUCT, READ
from drank.evaluation.roofline import Work


@pytest.mark.parametrize(("read", "multiplied", "seconds"), [(10.0, 1e9, 4.0), (1e9, 5.0, 6.0)])
def test_the_least_time_is_that_of_what_binds(read: float, multiplied: float, seconds: float) -> None:
    assert Work(operations=30, bytes=40).least_seconds({READ: read, PRODUCT: multiplied}) == seconds
