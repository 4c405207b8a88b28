"""What a backward pass differentiates: losses of predicted tokens, with labels of the text or of the model, or against another model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

LIKELY = 64
"""How many tokens count as the likeliest of a prediction."""

WHOLE = 2**30
"""What the shares of a token come to, about, in whole numbers; their sum is one of 32 bits."""


class Objective(Protocol):
    """The losses of the tokens that one window predicts, from its number, logits (predicted, vocabulary) and ids (predicted + 1,)."""

    def __call__(self, window: int, logits: Tensor, ids: Tensor) -> Tensor:
        """In nats, (predicted,), differentiable by the logits."""


def text_loss(window: int, logits: Tensor, ids: Tensor) -> Tensor:
    """The negative log-likelihood of the text itself; with these labels the second moment of gradients is the empirical Fisher matrix."""
    import torch

    return torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none")


def sampled_loss(seed: int) -> Objective:
    """The negative log-likelihood of labels drawn from what the model predicts; the second moment of gradients is the Fisher matrix.

    Every window has its own generator, on the CPU: draws depend neither on batches nor on where an interrupted run went on. They invert the
    cumulative shares, several times faster than `torch.multinomial` over a vocabulary of thousands. The Fisher
    matrix is the generalised Gauss-Newton matrix of the loss, and so, but for the curvature of the logits, its Hessian (Martens,
    arXiv:1412.1193).
    """

    def loss(window: int, logits: Tensor, ids: Tensor) -> Tensor:
        import torch

        generator = torch.Generator().manual_seed(seed * 1_000_003 + window)
        shares, levels = logits.detach().float().softmax(-1), torch.rand(len(logits), 1, generator=generator)
        upto, level = _in_float32(shares, levels) if shares.device.type == "cpu" else in_whole_numbers(shares, levels)
        labels = torch.searchsorted(upto, level, right=True)[:, 0].clamp(max=upto.shape[1] - 1)
        return torch.nn.functional.cross_entropy(logits, labels, reduction="none")

    return loss


def _in_float32(shares: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """The cumulative shares, (tokens, vocabulary), and these parts of the whole, (tokens, 1), each a number between 0 and 1."""
    upto = shares.cumsum(-1)
    return upto, levels * upto[:, -1:]


def in_whole_numbers(shares: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """The same on the device of the shares, in whole numbers up to about `WHOLE`.

    A GPU adds in an order that is another each time. Of these the sum is one and the same; in float32 a draw might be another token.
    """
    import torch

    upto = (shares * WHOLE).round_().int().cumsum(-1, dtype=torch.int32)
    return upto, (levels.to(upto.device).double() * upto[:, -1:]).int()


def likeliest_loss(seed: int, count: int = LIKELY, probes: int = 1) -> Objective:
    """What a backward pass differentiates so that its gradients have the curvature of KL(q ‖ ·) as their second moment.

    q is what the model predicts over the `count` tokens that it holds likeliest, renormalised; of all others nothing is asked. The
    curvature at the logits of one token is `diag(q) − qᵀq = A Aᵀ` with `A = (I − q 1ᵀ) diag(√q)`. The gradient there is A s, with signs s:
    in the mean over independent signs its square is A Aᵀ, and its products with those of other tokens vanish. IO-SVD (arXiv:2605.15626).

    `probes` windows in a row are one window, each with other signs: a row of a Hadamard matrix times signs drawn by `seed`. As many
    as a power of two that is no less than predicted tokens × `count` give the curvature itself, fewer a draw of it. What is returned is
    the loss of the text.
    """

    def loss(window: int, logits: Tensor, ids: Tensor) -> Tensor:
        top = logits.topk(min(count, logits.shape[-1]), dim=-1).values
        q = top.detach().double().softmax(-1)
        signs = hadamard_signs(q.shape, seed * 1_000_003 + window // probes, window % probes).to(q)
        roots = q.sqrt()
        gradient = (roots * signs - q * (roots * signs).sum(-1, keepdim=True)).to(top.dtype)
        along = (gradient * top).sum(-1)
        return text_loss(window, logits.detach(), ids) + along - along.detach()

    return loss


def hadamard_signs(shape: Sequence[int], seed: int, row: int) -> Tensor:
    """Row `row` of a Sylvester-Hadamard matrix, ±1, every column times a sign drawn by `seed`; float64 of this shape."""
    import torch

    columns = torch.arange(math.prod(shape))
    common, odd = columns & row, torch.zeros_like(columns)
    while common.any():
        odd, common = odd ^ (common & 1), common >> 1
    drawn = torch.randint(0, 2, columns.shape, generator=torch.Generator().manual_seed(seed))
    return (1 - 2 * (odd ^ drawn)).double().reshape(tuple(shape))


def divergence(wanted: Tensor, logits: Tensor) -> Tensor:
    """KL(wanted ‖ found) of every predicted token, (tokens,), from two sets of logits (tokens, vocabulary)."""
    target, found = wanted.log_softmax(-1), logits.log_softmax(-1)
    return (target.exp() * (target - found)).sum(-1)
