"""A clock that marks when a device has done its work: on a GPU by events in its queue, which no launch waits for."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Clock:
    """Marks moments of the work on one device; made when the device is idle, which is the first mark."""

    def __init__(self, device: torch.device) -> None:
        """Wait for the device, then begin."""
        self._device = device
        self._marks: list[Any] = []
        self._wait()
        self.mark()

    def mark(self) -> None:
        """Note when all that was asked of the device so far is done."""
        if self._device.type != "cuda":
            self._marks.append(time.perf_counter())
            return
        import torch

        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        self._marks.append(event)

    def spans(self) -> list[float]:
        """The seconds from each mark to the next, once the device has done all."""
        self._wait()
        return [one.elapsed_time(two) / 1000 if self._device.type == "cuda" else two - one for one, two in pairwise(self._marks)]

    def _wait(self) -> None:
        if self._device.type == "cuda":
            import torch

            torch.cuda.synchronize(self._device)
