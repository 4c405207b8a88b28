"""Moments on disk, and the errors of the accumulation; what they are for each family is a contract test."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from drank.families import Family, Projection
from drank.files import read_json
from drank.moments import NonFiniteError, check_finite, collecting, read_moments, write_moments

TOY = Family(
    blocks="blocks", projections=(Projection("q", "q", reads="x"), Projection("k", "k", reads="x"), Projection("o", "o", reads="y"))
)


class Toy(nn.Module):
    """Two maps of one input, and one of their sum."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.o = nn.Linear(6, 4), nn.Linear(6, 4), nn.Linear(4, 6)

    def forward(self, x):
        return self.o(self.q(x) + self.k(x))


@pytest.fixture
def block() -> Toy:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Toy()


def test_a_shared_input_is_counted_once_and_batches_add_up(block):
    inputs = torch.randn(5, 7, 6, generator=torch.Generator().manual_seed(1))
    with collecting(block, TOY) as grams, torch.no_grad():
        for chunk in inputs.split(2):
            block(chunk)
    x = inputs.double().reshape(35, 6)
    assert set(grams) == {"x", "y"}
    torch.testing.assert_close(grams["x"], x.T @ x)
    with torch.no_grad():
        y = (block.q(inputs) + block.k(inputs)).double().reshape(35, 4)
    torch.testing.assert_close(grams["y"], y.T @ y, rtol=1e-5, atol=1e-5)


def test_sums_are_float64_where_float32_would_lose_them(block):
    """A million small rows on top of a large one: float32 would stop counting."""
    large, small = torch.full((1, 6), 4096.0), torch.full((1000, 6), 1.0)
    with collecting(block, TOY) as grams, torch.no_grad():
        block(large)
        for _ in range(100):
            block(small)
    assert grams["x"].dtype == torch.float64
    assert torch.equal(grams["x"], torch.full((6, 6), 4096.0**2 + 100_000, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_inputs_of_half_precision_are_squared_in_float64(block, dtype):
    inputs = torch.full((3, 6), 300.0, dtype=dtype)
    with collecting(block.to(dtype), TOY) as grams, torch.no_grad():
        block.q(inputs)
    assert torch.equal(grams["x"], torch.full((6, 6), 3 * inputs[0, 0].double().item() ** 2, dtype=torch.float64))


def test_hooks_are_removed_even_after_an_error(block):
    with pytest.raises(RuntimeError, match="stop"), collecting(block, TOY):
        raise RuntimeError("stop")
    assert not any(module._forward_pre_hooks for module in block.modules())


def test_moments_that_are_not_finite_are_all_named():
    grams = {"mlp": torch.tensor([[math.inf]]), "heads": torch.eye(2), "attention": torch.tensor([[math.nan]])}
    with pytest.raises(NonFiniteError, match=r"layer 7: the moments of the input of attention, mlp are not finite.*float32"):
        check_finite(grams, 7)
    check_finite({"heads": torch.eye(2)}, 7)


def test_moments_come_back_from_their_files(tmp_path):
    layers = [{"x": torch.full((3, 3), float(i), dtype=torch.float64), "y": torch.eye(2, dtype=torch.float64) * i} for i in range(12)]
    write_moments(tmp_path / "moments", iter(layers), {"windows": 4, "seed": 13})
    for layer, grams in enumerate(layers):
        for name, gram in grams.items():
            assert torch.equal(read_moments(tmp_path / "moments", layer, name), gram)
    assert read_json(tmp_path / "moments/facts.json") == {"windows": 4, "seed": 13}


def test_a_calibration_that_fails_leaves_nothing(tmp_path):
    def failing():
        yield {"x": torch.eye(2)}
        raise NonFiniteError("layer 1")

    with pytest.raises(NonFiniteError):
        write_moments(tmp_path / "moments", failing(), {})
    assert list(tmp_path.iterdir()) == []
