"""How fast this machine multiplies, measured in the blink of an eye, so that a forecast is of it and not of a common one."""

from __future__ import annotations

import time

from drank.runtime.provenance import cores

SIZE, TRIES = 1024, 4
"""The width of the matrices that are multiplied, and how often."""


def core_speed() -> float:
    """Multiplications a second of each core of this process in products of float32, with all of them at work; the best of a few tries.

    What numpy's library does, not torch's: within a factor of two, as a forecast is.
    """
    import numpy as np

    matrix = np.ones((SIZE, SIZE), np.float32)
    taken = []
    for _ in range(TRIES):
        started = time.perf_counter()
        matrix @ matrix
        taken.append(time.perf_counter() - started)
    return SIZE**3 / min(taken) / cores()
