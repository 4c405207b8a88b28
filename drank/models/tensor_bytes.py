"""Bytes of tensors as they lie in memory."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def bytes_of(tensor: Tensor) -> int:
    """Bytes of the memory that a tensor lies in: of a view that of the whole, of packed weights with what fills their blocks up."""
    if tensor.is_mkldnn:
        size: int = torch.ops.mkldnn._nbytes(tensor)
        return size
    return tensor.untyped_storage().nbytes()


def held(tensors: Iterable[Tensor]) -> int:
    """Bytes of the memory that tensors lie in, that of views of one another once."""
    places = [(tensor if tensor.is_mkldnn else tensor.untyped_storage(), tensor) for tensor in tensors]
    return sum({id(place): bytes_of(tensor) for place, tensor in places}.values())  # one object for each storage as long as it is held
