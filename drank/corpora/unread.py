"""Windows of a text that others have not read: places at random that overlap none of the windows given, nor each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def unread_places(read: Sequence[int], length: int, width: int, count: int, seed: int) -> list[int]:
    """Where up to `count` windows of `width` tokens begin in a text of `length` that overlap none that begin at `read`, in the order drawn.

    Each is drawn among all places that are left, so that fewer are there only where no place is left.
    """
    free, draw, found = list(_between(sorted(set(read)), length, width)), np.random.default_rng(seed), list[int]()
    while free and len(found) < count:
        sizes = np.cumsum([last - first + 1 for first, last in free])
        ticket = int(draw.integers(sizes[-1]))
        number = int(np.searchsorted(sizes, ticket, side="right"))
        first, last = free[number]
        place = last - (int(sizes[number]) - 1 - ticket)
        found.append(place)
        free[number : number + 1] = [gap for gap in ((first, place - width), (place + width, last)) if gap[0] <= gap[1]]
    return found


def _between(taken: Sequence[int], length: int, width: int) -> Iterator[tuple[int, int]]:
    """First and last place of every stretch of places at which a window overlaps none of those that begin at `taken`, in order."""
    first = 0
    for start in [*taken, length]:
        if first <= start - width:
            yield first, start - width
        first = max(first, start + width)
