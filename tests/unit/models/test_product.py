"""A product that is run says what its weight says, whatever layout and precision it is made in."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from drank.models.execution import product
from drank.models.execution.product import WIDE_FROM, Product, emulated, laid_out, quicken


def of(columns: int, rows: int, dtype: torch.dtype, biased: bool, seed: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(columns, rows, generator=generator).to(dtype)
    return weight, torch.randn(columns, generator=generator).to(dtype) if biased else None


SIZES = st.integers(1, 40)
PRECISIONS = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, PRECISIONS, st.booleans())
def test_is_the_product_to_the_rounding_of_its_precision(columns, rows, tokens, dtype, biased) -> None:
    weight, bias = of(columns, rows, dtype, biased, seed=columns * 41 + rows)
    x = torch.randn(2, tokens, rows, generator=torch.Generator().manual_seed(tokens)).to(dtype)
    made = Product.of(weight, bias)
    exact = functional.linear(x.double(), weight.double(), None if bias is None else bias.double())
    for wide in (made.wide, True):
        made.wide = wide
        found = made(x)
        assert found.dtype == dtype and found.shape == exact.shape
        bound = 4 * torch.finfo(dtype).eps * (functional.linear(x.double().abs(), weight.double().abs()) + 3)
        assert ((found.double() - exact).abs() <= bound).all()


def test_many_rows_are_no_less_exact_than_an_emulated_product() -> None:
    weight, bias = of(300, 200, torch.bfloat16, True, 3)
    x = torch.randn(4 * WIDE_FROM, 200).bfloat16()
    made = Product.of(weight, bias)
    made.wide = True
    exact = functional.linear(x.double(), weight.double(), bias.double())
    assert (made(x).double() - exact).abs().mean() <= 1.01 * (functional.linear(x, weight, bias).double() - exact).abs().mean()


def test_a_part_of_the_weight_at_a_time_gives_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, bias = of(37, 24, torch.bfloat16, True, 5)
    x = torch.randn(3, WIDE_FROM, 24).bfloat16()
    made = Product.of(weight, bias)
    made.wide = True
    whole = made(x)
    monkeypatch.setattr(product, "PART", 24 * 5)
    seen = []
    linear = functional.linear
    monkeypatch.setattr(functional, "linear", lambda x, weight, bias: (seen.append(len(weight)), linear(x, weight, bias))[1])
    torch.testing.assert_close(made(x), whole)
    assert seen == [5] * 7 + [2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch", [1, 2])
def test_the_last_token_of_a_prompt_copies_no_weight(dtype, batch) -> None:
    """Without gradients torch takes a slice that is no view of a matrix for a batch of products, each with a weight of its own."""
    weight, bias = of(37, 24, dtype, False, 7)
    x, made = torch.randn(batch, 5, 24).to(dtype), Product.of(weight, bias)
    last = x[:, -1:]
    made.wide = False
    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU]) as profiled:
        found = made(last)
    assert {event.key for event in profiled.key_averages()}.isdisjoint({"aten::bmm", "aten::copy_", "aten::clone"})
    torch.testing.assert_close(found, functional.linear(last.contiguous(), weight, bias))


def test_the_longer_side_is_contiguous_in_float32_alone() -> None:
    wide, tall = torch.randn(3, 8), torch.randn(8, 3)
    assert laid_out(wide) is wide
    assert torch.equal(laid_out(tall), tall) and laid_out(tall).stride() == (1, 8)
    half = tall.bfloat16()
    assert laid_out(half) is half


def test_a_head_that_is_the_embedding_stays_it() -> None:
    model = nn.ModuleDict({"embedding": nn.Embedding(50, 8), "up": nn.Linear(8, 20), "head": nn.Linear(8, 50, bias=False)})
    model["head"].weight = model["embedding"].weight
    x = torch.randn(4, 8)
    known = model["up"](x), model["head"](x)
    quicken(model)
    assert all(isinstance(model[name], Product) for name in ("up", "head"))
    assert model["head"].weight is model["embedding"].weight
    torch.testing.assert_close((model["up"](x), model["head"](x)), known)


def test_a_torch_without_products_of_half_precision_emulates_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert emulated(torch.bfloat16, torch.device("cpu"))


def test_float32_is_never_emulated() -> None:
    assert not emulated(torch.float32, torch.device("cpu"))
    assert not emulated(torch.bfloat16, torch.device("cuda"))
    assert emulated(torch.bfloat16, torch.device("cpu")) is not torch.ops.mkldnn._is_mkldnn_bf16_supported()
