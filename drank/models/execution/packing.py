"""Weights in the layout that oneDNN reads best on this processor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from drank.models.execution.product import Product, emulated
from drank.models.guard import guard
from drank.models.tensor_bytes import bytes_of

ROWS = 16
"""Rows that a layout is made for. It serves one as well as many; that for a single row is in float32 the plain one."""

PADDED = 1.3
"""What a layout may take of the weight's bytes: outputs come in blocks of up to 64, and filling up a low rank costs what it gives."""

PRECISIONS = (torch.float32, torch.bfloat16, torch.float16)

kernels = torch.ops.mkldnn


def packable(weight: Tensor) -> bool:
    """Whether oneDNN reads a weight faster in its own layout: on a CPU, in a precision which that multiplies and does not emulate.

    In float32 with one thread it is slower for a single row, by a fifth, and so for decoding (`benchmarks/products.py`).
    """
    native = weight.device.type == "cpu" and weight.dtype in PRECISIONS and not emulated(weight.dtype, weight.device)
    alone = weight.dtype == torch.float32 and torch.get_num_threads() == 1
    return torch.backends.mkldnn.is_available() and native and not alone and weight.numel() > 0


class Packed(nn.Module):
    """A `Product` whose weight lies in oneDNN's layout, and nowhere else: what is copied or pickled is the weight, packed again there."""

    packed: Tensor

    def __init__(self, product: Product) -> None:
        """Stand in for a product whose weight is `packable`."""
        super().__init__()
        self.in_features, self.out_features = product.in_features, product.out_features
        self.bias = product.bias
        self.register_buffer("packed", _laid_out(product.weight.detach()), persistent=False)
        self.register_buffer("weight", guard(product.weight.dtype, "cpu"), persistent=False)  # tells precision and device to whoever asks
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(…, d1) to (…, d2)."""
        multiply = _uncompiled if torch.compiler.is_compiling() else _multiply
        return multiply(x, self.packed, self.bias)

    def __getstate__(self) -> dict[str, Any]:
        """What is copied: the weight as everyone reads it."""
        return vars(self) | {"_buffers": self._buffers | {"packed": self.packed.to_dense()}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Lay it out again, perhaps on another processor."""
        super().__setstate__(state)
        self.packed = _laid_out(self.packed)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class _Differentiable(torch.autograd.Function):
    """The product for an input that has a gradient, which oneDNN's has none for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
        """The product."""
        ctx.packed = packed
        return _product(x, packed, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of the input alone: weights that are run have none."""
        return gradients[0] @ ctx.packed.to_dense(), None, None


def _multiply(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    if x.requires_grad and torch.is_grad_enabled():
        result: Tensor = _Differentiable.apply(x, packed, bias)
        return result
    return _product(x, packed, bias)


_uncompiled = torch.compiler.disable(
    _multiply, reason="inductor takes no packed weights: optimize with `compiled`, or compile it unoptimised"
)


def _product(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    result: Tensor = kernels._linear_pointwise(x, packed, bias, "none", [], "")
    return result


def _laid_out(weight: Tensor) -> Tensor:
    packed: Tensor = kernels._reorder_linear_weight(weight.contiguous(), ROWS)
    return packed


def pack(model: nn.Module) -> int:
    """Pack the weights of a model's products, one after another, and return of how many.

    Those stay that are not `packable`, that are tied to an embedding, which would be held twice, and that would take far more bytes.
    """
    tied = {module.weight.data_ptr() for module in model.modules() if isinstance(module, nn.Embedding)}
    products = [(name, module) for name, module in model.named_modules() if type(module) is Product]
    done = 0
    while products:
        name, product = products.pop()  # so that nothing holds its weight once its place is taken
        if not packable(product.weight) or product.weight.data_ptr() in tied:
            continue
        made = Packed(product)
        if bytes_of(made.packed) <= PADDED * product.weight.nbytes:
            model.set_submodule(name, made)
            done += 1
    return done
