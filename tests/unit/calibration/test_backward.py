"""The loss after the last block, and gradients through one block; the whole pass is a contract test."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from drank.calibration.backward import ProjectionSums, loss_gradient, through_block
from drank.calibration.losses import text_loss
from drank.calibration.streams import Arguments, open_stream, run_block
from drank.models.families import Family, Projection
from drank.models.forward import logits_of
from drank.models.lowrank import LowRankLinear
from drank.runtime.finite import NonFiniteError
from tests.unit.interrupted import small_llama, windows

TOY = Family(blocks="blocks", projections=(Projection("q", "q", reads="x"), Projection("o", "o", reads="y")))


class Toy(nn.Module):
    """Two maps, one after the other, beside the identity."""

    def __init__(self):
        super().__init__()
        self.q, self.o = nn.Linear(3, 5, dtype=torch.float64), nn.Linear(5, 3, dtype=torch.float64)

    def forward(self, x):
        return x + self.o(torch.tanh(self.q(x)))


def sums_of(block: Toy) -> dict[str, ProjectionSums]:
    return {p.role: ProjectionSums(block.get_submodule(p.path), torch.device("cpu")) for p in TOY.projections}


def leaving_states(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    stream = open_stream(model, ids, len(ids))
    for layer, block in enumerate(model.model.layers):
        stream.states = run_block(block, layer, stream)
    return stream.states[0]


def test_logits_after_the_last_block_are_those_of_the_model_itself():
    model, ids = small_llama(torch.float64), windows()
    with torch.no_grad():
        expected = model(ids).logits[:, :-1]
        found = logits_of(model, leaving_states(model, ids), ids)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert not any("forward" in vars(module) for module in model.modules()), "the blocks are themselves again"
    half = small_llama(torch.bfloat16)
    assert logits_of(half, leaving_states(half, ids), ids).dtype == torch.float32


def test_the_loss_and_its_gradient_are_those_of_the_model_itself():
    model, ids = small_llama(torch.float64), windows()
    states = leaving_states(model, ids)
    for window in range(len(ids)):
        loss, gradient = loss_gradient(model, states[window : window + 1], ids[window])
        leaf = states[window : window + 1].clone().requires_grad_()
        expected = torch.nn.functional.cross_entropy(model.lm_head(model.model.norm(leaf))[0, :-1], ids[window, 1:], reduction="sum")
        assert loss == pytest.approx(model(ids[window : window + 1], labels=ids[window : window + 1]).loss.item() * 5, rel=1e-6)
        assert loss == pytest.approx(expected.item(), rel=1e-12)
        torch.testing.assert_close(gradient, torch.autograd.grad(expected, leaf)[0], rtol=1e-12, atol=1e-14)
        assert not gradient[:, -1].any(), "what follows the last token is not predicted"


def test_an_objective_is_told_which_window_it_sees():
    model, ids, seen = small_llama(torch.float64), windows(), []

    def weighted(window: int, logits: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        seen.append((window, tuple(logits.shape), text))
        return window * text_loss(window, logits, text)

    states = leaving_states(model, ids)[2:3]
    loss, gradient = loss_gradient(model, states, ids[2])
    threefold = loss_gradient(model, states, ids[2], 3, weighted)
    assert threefold[0] == pytest.approx(3 * loss)
    torch.testing.assert_close(threefold[1], 3 * gradient)
    ((window, shape, text),) = seen
    assert (window, shape) == (3, (5, 50)) and torch.equal(text, ids[2])


def test_sums_have_the_sides_of_what_stands_for_a_projection():
    """GPT-2 stores W as it is, others its transpose; of factors it is the map that they make together."""
    dense, conv = nn.Linear(3, 5), Conv1D(5, 3)
    for module in (dense, conv, LowRankLinear(dense, 2), LowRankLinear(conv, 2)):
        sums = ProjectionSums(module, torch.device("cpu"))
        assert sums.weight.shape == (3, 5) and sums.squares.shape == (3,) and sums.outputs.gram().shape == (5, 5)
        assert not sums.weight.any() and sums.weight.dtype == torch.float64


def test_batches_of_windows_add_up_to_what_autograd_gives():
    block, generator = Toy(), torch.Generator().manual_seed(0)
    entering, upstream = (torch.randn(4, 6, 3, dtype=torch.float64, generator=generator) for _ in range(2))
    sums = sums_of(block)
    parts = zip(entering.split(3), upstream.split(3), strict=True)
    found = torch.cat([through_block(block, 0, TOY, Arguments((), {}), x, g, sums) for x, g in parts])
    leaf = entering.clone().requires_grad_()
    squares = torch.zeros(3, dtype=torch.float64)
    for window, g in zip(leaf, upstream, strict=True):
        (gradient,) = torch.autograd.grad(block(window), block.q.weight, g)
        squares += gradient.mT.square().sum(1)
    of_states, of_q, of_o = torch.autograd.grad(block(leaf), [leaf, block.q.weight, block.o.weight], upstream)
    torch.testing.assert_close(found, of_states, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(sums["q"].weight, of_q.mT, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(sums["o"].weight, of_o.mT, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(sums["q"].squares, squares, rtol=1e-12, atol=1e-14)
    g = upstream.flatten(0, 1)
    torch.testing.assert_close(sums["o"].outputs.gram(), g.mT @ g, rtol=1e-12, atol=1e-14)


def test_a_gradient_that_is_not_finite_names_the_layer():
    block = Toy()
    upstream = torch.ones(1, 2, 3, dtype=torch.float64)
    upstream[0, 1, 2] = math.inf
    with pytest.raises(NonFiniteError, match="layer 9: the gradients of the loss inside the block are not finite"):
        through_block(block, 9, TOY, Arguments((), {}), torch.ones(1, 2, 3, dtype=torch.float64), upstream, sums_of(block))
    assert not any(module._forward_hooks for module in block.modules())
