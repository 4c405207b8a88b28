"""The ceilings count the bytes and the operations of what they do, whatever time that takes."""

from __future__ import annotations

import pytest
import torch

from drank.evaluation import ceilings
from drank.evaluation.ceilings import COPY, PRODUCT, READ, Ceilings


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little to read, and a product that never takes long enough, so that its side is the largest."""
    monkeypatch.setattr(ceilings, "LEAST", {"cpu": 2**20})
    monkeypatch.setattr(ceilings, "_cache", lambda _: 0)
    monkeypatch.setattr(ceilings, "SIDE", 8)
    monkeypatch.setattr(ceilings, "LARGEST", 32)
    monkeypatch.setattr(ceilings, "LONG", float("inf"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rates_are_what_was_done_over_the_time_it_took(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    found = Ceilings.of("cpu", dtype)
    monkeypatch.setattr(ceilings.Clock, "spans", lambda _: [0.5, 0.25, 2.0])
    assert found.round() == {READ: 2**21, COPY: 2**22, PRODUCT: 32**3}


@pytest.mark.parametrize("emulated", [False, True])
def test_the_product_is_in_the_quickest_precision_and_no_longer_than_a_round_can_spare(
    monkeypatch: pytest.MonkeyPatch, emulated: bool
) -> None:
    monkeypatch.setattr("drank.models.execution.product.emulated", lambda *_: emulated)
    sides: list[tuple[int, torch.dtype]] = []
    monkeypatch.setattr(ceilings, "LONG", 0.5)
    monkeypatch.setattr(ceilings, "_product", lambda factor: sides.append((len(factor), factor.dtype)))
    monkeypatch.setattr(ceilings.Clock, "spans", lambda _: [0.1 if len(sides) < 4 else 0.6])
    Ceilings.of("cpu", "bfloat16")
    dtype = torch.float32 if emulated else torch.bfloat16
    assert sides == [(8, dtype)] * 2 + [(16, dtype)] * 2, "once to warm up, once to time"


def test_what_is_read_is_more_than_the_cache_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "_cache", lambda _: 2**20)
    monkeypatch.setattr(ceilings.Clock, "spans", lambda _: [1.0, 1.0, 1.0])
    assert Ceilings.of("cpu", "float32").round()[READ] == 4 * 2**20
