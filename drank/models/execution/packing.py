"""Weights in the layout that oneDNN reads best on this processor."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from drank.models.execution.product import Product, emulated
from drank.models.guard import guard
from drank.models.tensor_bytes import bytes_of

ROWS = 16
"""Rows that a layout is made for. It serves one as well as many; that for a single row is in float32 the plain one."""

PADDED = 1.3
"""What a layout may take of the weight's bytes: outputs come in blocks of up to 64, and filling up a low rank costs what it gives."""

PRECISIONS = (torch.float32, torch.bfloat16, torch.float16)

kernels = torch.ops.mkldnn


def native(weight: Tensor) -> bool:
    """Whether oneDNN has a layout of its own for a weight: on a CPU, in a precision which that multiplies and does not emulate."""
    there = torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled)
    known = weight.device.type == "cpu" and weight.dtype in PRECISIONS and not emulated(weight.dtype, weight.device)
    return there and known and weight.numel() > 0


def packable(weight: Tensor) -> bool:
    """Whether a weight is read faster in that layout.

    In float32 with one thread it is slower for a single row, by a fifth, and so for decoding (`benchmarks/products.py`).
    """
    return native(weight) and not (weight.dtype == torch.float32 and torch.get_num_threads() == 1)


class Packed(nn.Module):
    """A `Product` whose weight lies in oneDNN's layout, and nowhere else.

    What is saved, pickled, loaded or moved is the weight as everyone reads it, packed again where oneDNN has a layout for it, and run as it
    is where it has none: on another processor or device, in another precision.
    """

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
        if torch.is_autocast_enabled(x.device.type):
            result = multiply(x.to(self.packed.dtype), self.packed, self.bias)  # the layout takes no other precision
            return result.to(torch.get_autocast_dtype(x.device.type))
        return multiply(x, self.packed, self.bias)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: the weight as everyone reads it."""
        return vars(self) | {"_buffers": self._buffers | {"packed": _plain(self.packed)}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Lay it out again, perhaps on another processor."""
        super().__setstate__(state)
        self.packed = _laid_out(self.packed)

    def __deepcopy__(self, memo: dict[int, Any]) -> Packed:
        """A copy that is packed already, so that no weight is held in both layouts."""
        memo[id(self.packed)] = self.packed.clone()
        made = Packed.__new__(Packed)
        memo[id(self)] = made
        vars(made).update(copy.deepcopy(vars(self), memo))
        return made

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Packed:
        """What moves a module or changes its precision: the weight goes along."""
        packed, known = self.packed, (self.weight.dtype, self.weight.device)
        del self._buffers["packed"]
        try:
            super()._apply(fn, recurse)
            if (self.weight.dtype, self.weight.device) != known:
                packed = _laid_out(fn(_plain(packed)))
        finally:
            self._buffers["packed"] = packed
        return self

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = _plain(self.packed)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        weight = state_dict.pop(f"{prefix}weight", None)
        super()._load_from_state_dict(state_dict, prefix, *rest)
        missing, errors = rest[2], rest[4]
        if weight is None:
            missing.append(f"{prefix}weight")
        elif weight.shape != (self.out_features, self.in_features):
            errors.append(f"size mismatch for {prefix}weight: {[*weight.shape]} where this is {[self.out_features, self.in_features]}")
        else:
            self.packed = _laid_out(weight.detach().to(self.weight.device, self.weight.dtype, copy=True))

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
        return gradients[0] @ _plain(ctx.packed), None, None


def _multiply(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    if x.requires_grad and torch.is_grad_enabled():
        result: Tensor = _Differentiable.apply(x, packed, bias)
        return result
    return _product(x, packed, bias)


_uncompiled = torch.compiler.disable(
    _multiply, reason="inductor takes no packed weights: optimize with `compiled`, or compile it unoptimised"
)


def _product(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    if not packed.is_mkldnn:
        return functional.linear(x, packed, bias)
    result: Tensor = kernels._linear_pointwise(x, packed, bias, "none", [], "")
    return result


def _plain(weight: Tensor) -> Tensor:
    return weight.to_dense() if weight.is_mkldnn else weight


def _laid_out(weight: Tensor) -> Tensor:
    if not native(weight):
        return weight
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
