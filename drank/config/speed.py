"""How fast this machine multiplies, measured in the blink of an eye, so that a forecast is of it and not of a common one."""

from __future__ import annotations

import time

SIZE, TRIES = 1024, 4
"""The width of the matrices that are multiplied, and how often."""


def core_speed() -> float:
    """Multiplications of float32 by a core in a second of its time, the best of a few tries; how many threads numpy takes does not matter.

    What numpy's library does, not torch's: within a factor of two, as a forecast is.
    """
    import numpy as np

    matrix = np.ones((SIZE, SIZE), np.float32)
    taken = []
    for _ in range(TRIES):
        started = time.process_time()  # of all threads together
        matrix @ matrix
        taken.append(time.process_time() - started)
    return SIZE**3 / min(taken)
