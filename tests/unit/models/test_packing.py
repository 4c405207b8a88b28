"""A product whose weight is packed for the processor says what its weight says, and is a module like others."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._dynamo.exc import Unsupported
from torch.nn import functional

from drank.evaluation.operations import operations_of
from drank.evaluation.tensor_memory import model_bytes, peak_tensor_bytes, weight_bytes
from drank.models.execution import packing
from drank.models.execution.packing import Packed, pack
from drank.models.execution.product import Product, emulated, quicken

NATIVE = [dtype for dtype in packing.PRECISIONS if not emulated(dtype, torch.device("cpu"))]

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch was built without oneDNN")


def packed(columns: int, rows: int, dtype: torch.dtype, biased: bool = False) -> tuple[nn.Module, torch.Tensor, torch.Tensor | None]:
    generator = torch.Generator().manual_seed(columns * 41 + rows)
    weight = torch.randn(columns, rows, generator=generator).to(dtype)
    bias = torch.randn(columns, generator=generator).to(dtype) if biased else None
    model = nn.Sequential(Product.of(weight, bias))
    assert pack(model) == 1 and isinstance(model[0], Packed)
    return model, weight, bias


@pytest.fixture(autouse=True)
def whatever_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small weights are packed too, which blocks of 64 outputs fill up many times, and those in float32 whatever threads there are."""
    monkeypatch.setattr(packing, "PADDED", 1e6)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


@pytest.mark.parametrize("dtype", NATIVE, ids=str)
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 40), st.booleans())
def test_is_the_product_to_the_rounding_of_its_precision(dtype, columns, rows, tokens, biased) -> None:
    model, weight, bias = packed(columns, rows, dtype, biased)
    x = torch.randn(2, tokens, rows, generator=torch.Generator().manual_seed(tokens)).to(dtype)
    exact = functional.linear(x.double(), weight.double(), None if bias is None else bias.double())
    bound = 4 * torch.finfo(dtype).eps * (functional.linear(x.double().abs(), weight.double().abs()) + 3)
    for given_x, known, within in ((x, exact, bound), (x[:, -1:], exact[:, -1:], bound[:, -1:]), (x.mT.contiguous().mT, exact, bound)):
        found = model(given_x)
        assert found.dtype == dtype and found.shape == known.shape
        assert ((found.double() - known).abs() <= within).all()


@pytest.mark.parametrize("dtype", NATIVE, ids=str)
def test_an_input_has_the_gradient_that_it_has_of_the_weight(dtype) -> None:
    model, weight, bias = packed(37, 24, dtype, biased=True)
    x, y = (torch.linspace(-1, 1, 3 * 24).view(3, 24).to(dtype).requires_grad_() for _ in range(2))
    model(x).square().sum().backward()
    functional.linear(y, weight, bias).square().sum().backward()
    assert y.grad is not None
    torch.testing.assert_close(x.grad, y.grad)
    assert model(x.detach()).requires_grad is False


def test_a_copy_is_packed_and_has_a_weight_of_its_own() -> None:
    model, weight, bias = packed(64, 32, torch.float32, biased=True)
    other, x = copy.deepcopy(model), torch.randn(3, 32)
    assert isinstance(other[0], Packed) and other[0].packed.is_mkldnn and other[0].packed is not model[0].packed
    assert other[0].bias is not model[0].bias
    del model
    torch.testing.assert_close(other(x), functional.linear(x, weight, bias))


def test_the_bytes_are_those_that_are_read_and_work_with_it_counts_as_ever() -> None:
    model, weight, _ = packed(128, 64, torch.float32)
    assert model_bytes(model) == weight_bytes(model) == weight.nbytes
    x = torch.randn(5, 64)
    operations, _ = operations_of(lambda: model(x))
    assert operations == 2 * 5 * 64 * 128
    with torch.inference_mode():
        peak, _ = peak_tensor_bytes(model, torch.device("cpu"), lambda: model(x))
    assert peak == weight.nbytes + 5 * 128 * 4


def test_what_a_layout_fills_up_counts_and_too_much_of_it_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    model, weight, _ = packed(65, 1024, torch.float32)
    taken = model_bytes(model)
    assert taken >= weight.nbytes
    monkeypatch.setattr(packing, "PADDED", 0.99 * taken / weight.nbytes)
    assert pack(nn.Sequential(Product.of(weight))) == 0


def test_what_is_tied_or_emulated_or_in_another_precision_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(64, 32), "head": nn.Linear(32, 64, bias=False), "free": nn.Linear(32, 64)})
    model["head"].weight = model["embed"].weight
    quicken(model)
    assert pack(model) == 1
    assert type(model["head"]) is Product and model["head"].weight is model["embed"].weight and isinstance(model["free"], Packed)
    assert pack(nn.Sequential(Product.of(torch.randn(64, 32).double()))) == 0
    monkeypatch.setattr(packing, "emulated", lambda *_: True)
    assert pack(nn.Sequential(Product.of(torch.randn(64, 32)))) == 0


def test_one_thread_reads_float32_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert pack(nn.Sequential(Product.of(torch.randn(64, 32)))) == 0
    half = [dtype for dtype in NATIVE if dtype != torch.float32]
    assert [pack(nn.Sequential(Product.of(torch.randn(64, 32).to(dtype)))) for dtype in half] == [1] * len(half)


def test_another_precision_of_the_input_is_an_error() -> None:
    model, _, _ = packed(64, 32, torch.float32)
    with pytest.raises(RuntimeError):
        model(torch.randn(2, 32, dtype=torch.float64))
    with pytest.raises(RuntimeError):
        model(torch.randn(2, 16))


def test_who_compiles_it_gets_the_same_around_it_and_is_told_where_it_must_be_whole() -> None:
    first, weight, _ = packed(64, 32, torch.float32)
    model, x = nn.Sequential(first, nn.SiLU()), torch.randn(3, 32)
    torch.testing.assert_close(torch.compile(model, backend="aot_eager")(x), functional.silu(functional.linear(x, weight)))
    torch.compiler.reset()
    with pytest.raises(Unsupported, match="optimize with `compiled`"):
        torch.compile(model, backend="aot_eager", fullgraph=True)(x)


def test_several_threads_may_call_it_at_once() -> None:
    model, weight, _ = packed(256, 128, torch.float32)
    inputs = [torch.randn(4, 128) for _ in range(8)]
    found: dict[int, torch.Tensor] = {}

    def call(place: int) -> None:
        for _ in range(50):
            found[place] = model(inputs[place])

    threads = [threading.Thread(target=call, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, x in enumerate(inputs):
        torch.testing.assert_close(found[place], functional.linear(x, weight))
