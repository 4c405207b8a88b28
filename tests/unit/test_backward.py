"""The loss after the last block, and gradients through one block; the whole pass is a contract test."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from drank.backward import ProjectionSums, loss_gradient, through_block
from drank.families import Family, Projection
from drank.streams import Arguments, NonFiniteError, open_stream, run_block
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
    return {p.role: ProjectionSums(block.get_submodule(p.path), p, torch.device("cpu")) for p in TOY.projections}


def test_the_loss_and_its_gradient_are_those_of_the_model_itself():
    model, ids = small_llama(torch.float64), windows()
    stream = open_stream(model, ids, len(ids))
    for layer, block in enumerate(model.model.layers):
        stream.states = run_block(block, layer, stream)
    loss, gradient = loss_gradient(model, stream.states[0], ids)
    assert loss == pytest.approx(model(ids, labels=ids).loss.item() * ids[:, 1:].numel(), rel=1e-6)
    moved = stream.states[0].clone()
    moved[2, 3, 4] += 1e-3
    assert (loss_gradient(model, moved, ids)[0] - loss) / 1e-3 == pytest.approx(gradient[2, 3, 4].item(), rel=1e-2)
    assert not gradient[:, -1].any(), "what follows the last token is not predicted"


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
