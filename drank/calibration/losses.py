"""What a backward pass differentiates: losses of predicted tokens, with labels of the text or of the model, or against another model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

LABELS = ("text", "sampled")
"""Whose next tokens are the labels: the text's, or draws from what the model itself predicts."""


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
        upto = logits.detach().float().softmax(-1).cumsum(-1)
        level = torch.rand(len(upto), 1, generator=generator).to(upto.device) * upto[:, -1:]
        labels = torch.searchsorted(upto, level, right=True)[:, 0].clamp(max=upto.shape[1] - 1)
        return torch.nn.functional.cross_entropy(logits, labels, reduction="none")

    return loss


def divergence(wanted: Tensor, logits: Tensor) -> Tensor:
    """KL(wanted ‖ found) of every predicted token, (tokens,), from two sets of logits (tokens, vocabulary)."""
    target, found = wanted.log_softmax(-1), logits.log_softmax(-1)
    return (target.exp() * (target - found)).sum(-1)
