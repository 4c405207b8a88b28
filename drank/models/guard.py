"""The guard against dense loading: a process without drank must fail on a compressed checkpoint, not run with random weights.

Such a process builds the dense module, whose weight the checkpoint does not have, and transformers would only warn. So every low-rank
module stores a tensor under the name of that weight with a shape that no weight has, and the load ends in an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def guard(dtype: torch.dtype, device: str | torch.device) -> Tensor:
    """What a low-rank module stores as `weight`: no element at all, in the dtype and on the device of its factors."""
    import torch

    return torch.empty(0, dtype=dtype, device=device)
