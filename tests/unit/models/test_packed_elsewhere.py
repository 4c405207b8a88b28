"""A packed weight is saved, loaded, moved, pickled and run under autocast as the weight that it is."""

from __future__ import annotations

import copy
import io
import pickle  # noqa: TID251 - what users do

import pytest
import torch
from torch import nn
from torch.nn import functional

from drank.models.execution import packing, product
from drank.models.execution.packing import Packed, pack
from drank.models.execution.product import Product, emulated

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch was built without oneDNN")


@pytest.fixture(autouse=True)
def whatever_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small weights are packed too, and those in float32 whatever threads there are."""
    monkeypatch.setattr(packing, "PADDED", 1e6)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def packed(seed: int = 1) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weight, bias = torch.randn(64, 32, generator=generator), torch.randn(64, generator=generator)
    model = nn.Sequential(Product.of(weight, bias))
    assert pack(model) == 1
    return model, weight, bias


def test_its_state_is_that_of_a_linear_map() -> None:
    model, weight, bias = packed()
    state = model.state_dict()
    assert state.keys() == {"0.weight", "0.bias"} and torch.equal(state["0.weight"], weight) and torch.equal(state["0.bias"], bias)
    linear = nn.Sequential(nn.Linear(32, 64))
    linear.load_state_dict(state)
    other, _, _ = packed(seed=2)
    other.load_state_dict(linear.state_dict())
    x = torch.randn(3, 32)
    assert other[0].packed.is_mkldnn
    torch.testing.assert_close(other(x), functional.linear(x, weight, bias))


def test_a_state_that_lacks_it_or_has_another_shape_is_refused() -> None:
    model, weight, bias = packed()
    with pytest.raises(RuntimeError, match=r"Missing.*0\.weight"):
        model.load_state_dict({"0.bias": bias})
    with pytest.raises(RuntimeError, match=r"size mismatch for 0\.weight"):
        model.load_state_dict({"0.weight": weight[:3], "0.bias": bias})
    x = torch.randn(3, 32)
    torch.testing.assert_close(model(x), functional.linear(x, weight, bias))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_it_goes_to_another_precision_with_the_rest(dtype) -> None:
    model, weight, bias = packed()
    model.to(dtype)
    assert model[0].weight.dtype == model[0].bias.dtype == model[0].packed.dtype == dtype
    assert model[0].packed.is_mkldnn == (dtype == torch.bfloat16 and not emulated(dtype, torch.device("cpu")))
    x = torch.randn(3, 32, dtype=dtype)
    torch.testing.assert_close(model(x), functional.linear(x, weight.to(dtype), bias.to(dtype)), atol=0.1, rtol=0.02)
    assert not model.to("meta").state_dict()["0.weight"].is_mkldnn and model[0].packed.device.type == "meta"


def test_where_nothing_changes_it_stays_as_it_lies() -> None:
    model, _, _ = packed()
    before = model[0].packed
    assert model.to("cpu").float().eval()[0].packed is before


def test_a_move_that_fails_leaves_it_whole() -> None:
    model, weight, bias = packed()
    with pytest.raises(ZeroDivisionError):
        model._apply(lambda _: 1 / 0)
    x = torch.randn(3, 32)
    torch.testing.assert_close(model(x), functional.linear(x, weight, bias))


@pytest.mark.parametrize("there", [True, False])
def test_it_is_pickled_as_the_weight_and_read_where_there_is_no_layout_for_it(monkeypatch: pytest.MonkeyPatch, there) -> None:
    model, weight, bias = packed()
    written = pickle.dumps(model)
    if not there:
        monkeypatch.setattr(packing, "native", lambda _: False)
    other, x = pickle.load(io.BytesIO(written)), torch.randn(3, 32)
    assert isinstance(other[0], Packed) and other[0].packed.is_mkldnn == there
    for made in (other, copy.deepcopy(other)):
        torch.testing.assert_close(made(x), functional.linear(x, weight, bias))


def test_a_copy_of_it_is_made_in_its_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, _ = packed()
    monkeypatch.setattr(packing, "_plain", lambda _: pytest.fail("a weight was held in both layouts"))
    copy.deepcopy(model)


def test_under_autocast_it_gives_the_precision_asked_for() -> None:
    model, weight, bias = packed()
    x = torch.randn(3, 32)
    with torch.autocast("cpu", torch.bfloat16):
        found = nn.Sequential(model, nn.Linear(64, 64), nn.SiLU())(x)
        own = model(model(x)[:, :32])
        assert found.dtype == own.dtype == model(x).dtype == torch.bfloat16
        torch.testing.assert_close(model(x), functional.linear(x, weight, bias), atol=0.1, rtol=0.02)


def test_without_onednn_nothing_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert pack(nn.Sequential(Product.of(torch.randn(64, 32)))) == 0


@pytest.mark.parametrize(
    "wider, of_it, amx, emulates",
    [(True, False, False, True), (True, True, False, False), (True, False, True, False), (False, False, False, False)],
)
def test_a_processor_with_avx512_alone_emulates_bfloat16(monkeypatch: pytest.MonkeyPatch, wider, of_it, amx, emulates) -> None:
    """oneDNN calls it supported there, and multiplies slower than row after row."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_supported", lambda: wider)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: of_it)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert product._has(torch.bfloat16) is not emulates and product._has(torch.float16)
