"""The ceilings of a machine: how fast it reads memory and multiplies at most, measured between the models in every round.

Decoding one token reads every weight once and does little else. The fastest that can be is a matrix-vector product with a matrix that
no cache holds, in float32: memory does not know of what type its bytes are, and 16 bits are slow on processors that lack instructions
for them, which is no fault of the memory. A copy writes too, and on most machines moves fewer bytes a second than reading alone; a sum
is bound by additions on one core. The copy is kept beside it, as the number that others print.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from drank.evaluation.clock import Clock

if TYPE_CHECKING:
    import torch
    from torch import Tensor

READ, COPY, PRODUCT = "read_bytes_per_second", "copy_bytes_per_second", "operations_per_second"
"""Bytes read by a matrix-vector product; bytes read and written by a copy; operations of a large product in the dtype of the models, or
in float32 where a processor emulates that dtype, for then it can multiply faster than that."""

WIDTH = 4096
"""Inputs of the matrix that is read, as those of a model."""

LEAST = {"cpu": 2**28, "cuda": 2**30}
"""Bytes that are read at least: on a GPU more, so that its launch does not count."""

SIDE, LARGEST, LONG = 256, 8192, 0.02
"""The side of the product: doubled from the first until one takes so many seconds, and on a GPU the largest."""


class Ceilings:
    """What is read, copied and multiplied on one device, kept from round to round."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        """Take the memory: of the matrix that is read, beside which the factors of the product are small."""
        import torch

        from drank.models.execution.product import emulated

        size = max(LEAST.get(device.type, LEAST["cpu"]), 4 * _cache(device))
        self._matrix = torch.ones(size // 4 // WIDTH // 2 * 2, WIDTH, device=device)
        self._vector = torch.ones(WIDTH, device=device)
        self._factor = self._fitting(device, torch.float32 if emulated(dtype, device) else dtype)

    @classmethod
    def of(cls, device: str, dtype: str) -> Ceilings:
        """Those of a device and a dtype by their names."""
        import torch

        return cls(torch.device(device), getattr(torch, dtype))

    def round(self) -> dict[str, float]:
        """The three rates of this moment, by name."""
        import torch

        upper, lower = self._matrix.chunk(2)
        clock = Clock(self._matrix.device)
        torch.mv(self._matrix, self._vector)
        clock.mark()
        upper.copy_(lower)
        clock.mark()
        _product(self._factor)
        clock.mark()
        read, copied, multiplied = clock.spans()
        size = self._matrix.nbytes
        return {READ: size / read, COPY: size / copied, PRODUCT: 2 * len(self._factor) ** 3 / multiplied}

    @staticmethod
    def _fitting(device: torch.device, dtype: torch.dtype) -> Tensor:
        """A square matrix whose product with itself takes long enough to be timed, and no longer than a round can spare."""
        import torch

        side = LARGEST if device.type == "cuda" else SIDE
        while True:
            factor = torch.ones(side, side, device=device, dtype=dtype)
            _product(factor)
            clock = Clock(device)
            _product(factor)
            clock.mark()
            if side >= LARGEST or sum(clock.spans()) >= LONG:
                return factor
            side *= 2


def _product(factor: Tensor) -> Tensor:
    """The product as the layers of a model take it, for which 16 bits have kernels that other forms lack."""
    from torch.nn.functional import linear

    return linear(factor, factor)


def _cache(device: torch.device) -> int:
    """Bytes of the last-level cache of the processor, 0 where the system does not say; that of a GPU is far below what is read."""
    told = [] if device.type == "cuda" else Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    return max((1024 * int(text[:-1]) for path in told if (text := path.read_text("utf-8").strip()).endswith("K")), default=0)
