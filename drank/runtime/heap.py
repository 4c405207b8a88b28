"""Memory that stays with the process once it is freed, so that the next tensor of its size need not be fetched page by page.

glibc gives a block above 32 MiB back to the system as soon as it is freed, and every page of the next one is wiped and faulted in anew.
The logits of a few hundred tokens are that large, and a correction makes and frees them for every few windows: on SmolLM2-135M a sixth
of its time went there.
"""

from __future__ import annotations

import ctypes

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""The options of mallopt(3)."""

LARGEST = 2**30
"""Bytes of the largest block that is kept."""

KEPT = 2**31 - 1
"""Bytes that are kept at the end of the heap, at most."""


def keep_freed() -> bool:
    """Keep freed memory from here on; whether this process's allocator can be told to.

    Only glibc's can, and old ones not for blocks so large; the second option alone would make it keep less than it does unasked. Speeds of
    generation are measured without it: a model that is served runs under what its server has.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(MMAP_THRESHOLD, LARGEST)) and bool(mallopt(TRIM_THRESHOLD, KEPT))
