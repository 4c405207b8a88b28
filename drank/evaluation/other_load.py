"""Other work on the machine while models are timed: noticed, recorded, and made room for where threads would wait on it.

A product that is split among threads takes as long as the slowest of them. Where other work holds a core for a part of the time, the
thread there is late by that part, and all others spin until it has come; low-rank models, of twice as many products, wait twice as often.
Two spinning threads beside one busy neighbour so make low rank look twice slower than dense.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from drank.runtime.device import processors

log = logging.getLogger(__name__)

RELEVANT = 0.1
"""Cores that others may take of those the threads need: a thread that is late by more than a tenth is later than models differ by."""

LOOK = 1.0
"""Seconds for which one looks at the machine before models are timed; the system counts in hundredths."""

STAT = Path("/proc/stat")
IDLE, WAITING, GUEST = 3, 4, 8
"""Places of a line of it: time without work, time waiting for disks, and from where on time is counted twice."""


@dataclass(frozen=True)
class Usage:
    """Seconds so far: of the clock, those for which the cores that this process may use were busy, and those of one's own work among them.

    `busy` is None where the system does not say.
    """

    clock: float
    busy: float | None
    own: float

    @classmethod
    def now(cls, elsewhere: float = 0.0) -> Usage:
        """As of now; one's own work is that of this process and `elsewhere`, the processor seconds of others that work for it.

        Time that a host took from a virtual machine counts as busy: it is other work on the same cores.
        """
        return cls(time.perf_counter(), _busy(), time.process_time() + elsewhere)

    def other(self, later: Usage) -> float | None:
        """How many cores other work kept busy on average from this moment to a later one; None where the system does not say."""
        if self.busy is None or later.busy is None:
            return None
        elapsed = later.clock - self.clock
        return max(0.0, (later.busy - self.busy - (later.own - self.own)) / elapsed) if elapsed > 0 else 0.0


def crowded(other: float | None, threads: int, available: int) -> bool:
    """Whether other work takes a part of the cores that so many threads need, of those available, that is felt."""
    return other is not None and other > available - threads + RELEVANT


def settled(threads: int, device: str) -> tuple[int, float | None]:
    """How many threads to time with, which must be one where others would disturb several, and how many cores others keep busy.

    Nothing is looked for where one thread is asked for, or where a GPU does the work: then the second is None.
    """
    if threads == 1 or device.startswith("cuda"):
        return threads, None
    before = Usage.now()
    time.sleep(LOOK)
    other = before.other(Usage.now())
    if not crowded(other, threads, processors()):
        return threads, other
    log.warning(
        "throughput: other work keeps %.1f of %d cores busy, and %d threads would wait on it: all models are timed with one thread, and "
        "the table says so; run it again when the machine is idle for timings with %d",
        other,
        processors(),
        threads,
        threads,
    )
    return 1, other


def load_average() -> list[float] | None:
    """The system's averages of tasks that run or wait, this process among them, over 1, 5 and 15 minutes; None where there are none."""
    return list(os.getloadavg()) if hasattr(os, "getloadavg") else None


def _busy() -> float | None:
    """Seconds for which the cores that this process may use have been busy since the machine started."""
    if not STAT.is_file() or not hasattr(os, "sched_getaffinity"):
        return None
    mine = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    ticks = 0
    for name, *fields in map(str.split, STAT.read_text("utf-8").splitlines()):
        if name in mine:
            counts = [int(field) for field in fields[:GUEST]]
            ticks += sum(counts) - counts[IDLE] - counts[WAITING]
    return ticks / os.sysconf("SC_CLK_TCK")
