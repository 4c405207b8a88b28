"""A product with a weight, in float32 where a CPU has no instructions for the weight's own precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDE_FROM = 16
"""Rows from which on a product in float32 is quicker than one in an emulated precision, which takes row after row; below it, the weight's
bytes are what takes time, and float32 has twice as many (`benchmarks/execution.py`)."""

PART = 1 << 22
"""Numbers of a weight that are in float32 at once: 16 MB, which a product of many rows does not notice."""

_NATIVE = {torch.bfloat16: "_is_mkldnn_bf16_supported", torch.float16: "_is_mkldnn_fp16_supported"}


def emulated(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether products of this precision are emulated there: half precision on a CPU without instructions for it."""
    return device.type == "cpu" and dtype in _NATIVE and not getattr(torch.ops.mkldnn, _NATIVE[dtype])()


class Product(nn.Linear):
    """`x Wᵀ + b` as `nn.Linear` has it; of many rows, in float32 and rounded once, where the weight's precision is `emulated`."""

    wide: bool

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None = None) -> Product:
        """A product with these very tensors, (d2, d1) and (d2,): parameters stay those of whoever else has them."""
        columns, rows = weight.shape
        made = cls(rows, columns, bias=bias is not None, device="meta", dtype=weight.dtype)
        made.weight = weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight, requires_grad=False)
        if bias is not None:
            made.bias = bias if isinstance(bias, nn.Parameter) else nn.Parameter(bias, requires_grad=False)
        made.wide = emulated(weight.dtype, weight.device)
        return made.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(…, d1) to (…, d2)."""
        if not self.wide or x.numel() < WIDE_FROM * self.in_features or x.dtype == torch.float32:
            return super().forward(x)
        wide, step = x.float(), max(1, PART // max(1, self.in_features))
        result = x.new_empty(*x.shape[:-1], self.out_features)
        for start in range(0, self.out_features, step):
            bias = None if self.bias is None else self.bias[start : start + step].float()
            result[..., start : start + step] = functional.linear(wide, self.weight[start : start + step].float(), bias)
        return result


def widen(model: nn.Module) -> None:
    """Let the ordinary linear maps of a model, whose precision is `emulated` where they are, be such products, of the same weights."""
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear and emulated(module.weight.dtype, module.weight.device):
            model.set_submodule(name, Product.of(module.weight, module.bias))
