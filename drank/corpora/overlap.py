"""Text that stands in another text word for word, found by content: runs of tokens of the one that occur in the other.

Such overlap is how a language model is measured on what it has seen under another name (as GPT-3's authors counted 13-grams, arXiv
2005.14165, appendix C; runs of 50 tokens are those of arXiv 2107.06499, below which repeats are mostly idioms).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

RUN = 50
"""Tokens of a run."""

TOLD, LIMIT = 0.01, 0.2
"""The shares of runs above which an overlap is told, and above which two texts are one."""

AT_ONCE = 1 << 20
"""Tokens of the other text that are looked at at once: some tens of megabytes, however long it is."""

_BASE = np.uint64(0x9E3779B97F4A7C15)
"""What hashes are polynomials in, modulo 2⁶⁴: odd, so that no token of a run is lost."""

_BITS = 22
"""Leading bits of hashes by which most runs are told apart before they are looked for."""

_REST = np.uint64(64 - _BITS)

_NOWHERE = -1


class SeenTextError(ValueError):
    """A text on which models are measured that making them reads."""


def found_in(ids: ArrayLike, other: ArrayLike, run: int = RUN) -> tuple[int, int]:
    """How many runs of `run` consecutive tokens of a text stand in another one, each counted where it begins, and how many there are.

    Both are vectors of token ids. A run that is counted was compared token by token.
    """
    text, read = (np.ascontiguousarray(one, np.int64) for one in (ids, other))
    runs = max(0, len(text) - run + 1)
    if not runs or len(read) < run:
        return 0, runs
    hashes, of = np.unique(_hashes(text, run), return_inverse=True)
    places, begun = np.full(len(hashes), _NOWHERE), np.zeros(1 << _BITS, bool)
    begun[hashes >> _REST] = True
    for start in range(0, len(read) - run + 1, AT_ONCE):
        theirs = _hashes(read[start : start + AT_ONCE + run - 1], run)
        likely = np.flatnonzero(begun[theirs >> _REST])
        at = np.minimum(np.searchsorted(hashes, theirs[likely]), len(hashes) - 1)
        alike = hashes[at] == theirs[likely]
        places[at[alike]] = start + likely[alike]
    where = places[of]
    return sum(_equal(text, read, where, begin, run) for begin in range(0, runs, AT_ONCE // run)), runs


def _hashes(ids: NDArray[Any], run: int) -> NDArray[np.uint64]:
    """A hash of every run, out of those of runs half as long: Σ (idᵢ + 1) baseⁱ modulo 2⁶⁴."""
    powers, length, found = ids.astype(np.uint64) + np.uint64(1), 1, np.zeros(len(ids) + 1, np.uint64)
    done, rest = 0, run
    while rest:
        if rest & 1:
            head = found[: len(ids) - done - length + 1]
            found = head + powers[done : done + len(head)] * _power(done)
            done += length
        rest >>= 1
        powers, length = powers[:-length] + powers[length:] * _power(length), 2 * length
    return found


def _power(exponent: int) -> np.uint64:
    """The base to a power, modulo 2⁶⁴."""
    return np.uint64(pow(int(_BASE), exponent, 1 << 64))


def _equal(text: NDArray[Any], read: NDArray[Any], where: NDArray[Any], begin: int, run: int) -> int:
    """Of a block of runs from `begin` on, how many are those of the other text at these places, token by token."""
    own = np.flatnonzero(where[begin : begin + AT_ONCE // run] != _NOWHERE) + begin
    return int((sliding_window_view(text, run)[own] == sliding_window_view(read, run)[where[own]]).all(1).sum())
