"""A product with a weight, in the layout and the precision in which the processor is quickest at it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDE_FROM = 16
"""Rows from which on a product in float32 is quicker than one in an emulated precision, which takes row after row; below it, the weight's
bytes are what takes time, and float32 has twice as many (`benchmarks/products.py`)."""

PART = 1 << 22
"""Numbers of a weight that are in float32 at once: 16 MB, which a product of many rows does not notice."""

_NATIVE = {torch.bfloat16: "_is_mkldnn_bf16_supported", torch.float16: "_is_mkldnn_fp16_supported"}


def laid_out(weight: Tensor) -> Tensor:
    """A weight (d2, d1), its longer side contiguous in float32 on a CPU: there a product with one row is a third to a half quicker.

    So it is for the coefficients of a low rank (d2 ≫ d1 = k), where nn.Linear keeps the short side together; half precision is the other
    way round, by far, and a product of many rows does not mind (`benchmarks/products.py`).
    """
    columns, rows = weight.shape
    return weight.mT.contiguous().mT if columns > rows and weight.dtype == torch.float32 and weight.device.type == "cpu" else weight


def emulated(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether products of this precision are emulated there: half precision on a CPU without instructions for it."""
    known = torch.backends.mkldnn.is_available()  # what torch multiplies by without it takes row after row as well
    return device.type == "cpu" and dtype in _NATIVE and not (known and getattr(torch.ops.mkldnn, _NATIVE[dtype])() and _has(dtype))


def _has(dtype: torch.dtype) -> bool:
    """Whether the processor has what oneDNN says it supports, which for bfloat16 it says of every AVX-512."""
    if dtype != torch.bfloat16 or not torch.cpu._is_avx512_supported():
        return True
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


class Product(nn.Linear):
    """`x Wᵀ + b` as `nn.Linear` has it; of many rows, in float32 and rounded once, where the weight's precision is `emulated`."""

    wide: bool

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None = None) -> Product:
        """A product with a weight (d2, d1), which is copied where it is not `laid_out`, and a bias (d2,); without gradients."""
        columns, rows = weight.shape
        made = cls(rows, columns, bias=bias is not None, device="meta", dtype=weight.dtype)
        made.weight = nn.Parameter(laid_out(weight.detach()), requires_grad=False)
        if bias is not None:
            made.bias = nn.Parameter(bias.detach(), requires_grad=False)
        made.wide = emulated(weight.dtype, weight.device)
        return made.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(…, d1) to (…, d2)."""
        if x.ndim == 3 and x.stride(0) != x.shape[1] * x.stride(1):
            # the last token of a prompt: without gradients torch makes such a slice a batch of products, and copies the weight for it
            return self.forward(x.reshape(-1, self.in_features)).view(*x.shape[:-1], self.out_features)
        if not self.wide or x.numel() < WIDE_FROM * self.in_features:
            return functional.linear(x, self.weight, self.bias)
        wide, step = x.float(), max(1, PART // max(1, self.in_features))
        result = x.new_empty(*x.shape[:-1], self.out_features)
        for start in range(0, self.out_features, step):
            bias = None if self.bias is None else self.bias[start : start + step].float()
            result[..., start : start + step] = functional.linear(wide, self.weight[start : start + step].float(), bias)
        return result


def quicken(model: nn.Module) -> None:
    """Let the ordinary linear maps of a model on a CPU be such products; one that is tied to an embedding keeps that one's memory.

    Those that another tool packed stay its own: it unpacks, rounds and multiplies in ways that a weight does not say.
    """
    tied = {module.weight.data_ptr() for module in model.modules() if isinstance(module, nn.Embedding)}
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear and not hasattr(module, "quantization_scheme") and module.weight.device.type == "cpu":
            made = Product.of(module.weight, module.bias)
            if module.weight.data_ptr() in tied:
                made.weight = module.weight
            model.set_submodule(name, made)
