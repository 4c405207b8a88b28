"""The operations of a piece of work: products with weights as torch runs them, whatever module holds the weights.

torch's own counter takes composite operations apart first, and then cannot tell a linear map of a batch from a product of attention.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

WIDTHS: dict[Any, tuple[int, Callable[[Tensor], int]]] = {
    aten.linear: (0, lambda weight: weight.shape[0]),
    aten.mm: (0, lambda weight: weight.shape[1]),
    aten.matmul: (0, lambda weight: weight.shape[1] if weight.ndim == 2 else 0),  # of attention, which multiplies what was read: none
    aten.addmm: (1, lambda weight: weight.shape[1]),
    aten._scaled_mm: (0, lambda weight: weight.shape[1]),
    aten._grouped_mm: (0, lambda weight: weight.shape[-1]),
}
"""The products with weights, each with the place of its inputs, (…, d1), before the weight, and the outputs that this gives, d2."""
if torch.backends.mkldnn.is_available():
    WIDTHS[torch.ops.mkldnn._linear_pointwise] = WIDTHS[aten.linear]  # with a packed weight


def operations_of(work: Callable[[], Any]) -> tuple[int, Any]:
    """The operations of the products with weights that a piece of work takes, two for each multiplication, and what the work returns.

    So a basis that layers share counts in each of them, of a mixture the experts that were asked, an embedding not at all. Of quantised
    weights those count that are made into numbers and multiplied by torch; a kernel of another library is not seen.
    """
    with torch.inference_mode(), _Count() as count:  # without it a linear map may come as the product of a batch
        result = work()
    return count.operations, result


class _Count(TorchDispatchMode):
    """Adds up `operations` of the products with weights."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count an operation, and run it."""
        if found := WIDTHS.get(func.overloadpacket):
            place, width = found
            self.operations += 2 * args[place].numel() * width(args[place + 1])
        return func(*args, **(kwargs or {}))
