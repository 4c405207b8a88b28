"""Gradients of the next-token loss taken through a model piece by piece: through what follows its blocks, and through one block.

g is always the gradient of the loss *summed* over all predicted tokens, so that windows and batches add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from drank.calibration.losses import Objective, likeliest_loss, sampled_loss, text_loss
from drank.calibration.passes import LIKELIEST, PASSES
from drank.calibration.streams import Arguments, apply
from drank.calibration.sums import Sums
from drank.models.families import Family, blocks_of
from drank.models.forward import forwards, logits_of, removed, wide
from drank.models.lowrank import sides_of
from drank.runtime.finite import NonFiniteError, finite

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedModel

REMEDY = "run in float32 (`compute: dtype: float32`), and check the checkpoint for damaged weights"


def loss_gradient(
    model: PreTrainedModel, states: Tensor, ids: Tensor, window: int = 0, objective: Objective = text_loss
) -> tuple[float, Tensor]:
    """The summed loss of one window of token ids, (tokens,), and its gradient at the hidden states that leave the last block.

    `states` are (1, tokens, d), `window` is the number by which the objective knows the window. Raises NonFiniteError.
    """
    import torch

    states = states.detach().requires_grad_()
    with torch.enable_grad():
        logits = logits_of(model, states, ids[None])[0]
        loss = objective(window, logits, ids.to(states.device)).double().sum()
    (gradient,) = torch.autograd.grad(loss, states)
    if not (loss.isfinite() and finite(gradient)):
        raise NonFiniteError(f"the loss that follows the last block, or its gradient, is not finite in {states.dtype}; {REMEDY}")
    return loss.item(), gradient


def objective_of(labels: str, seed: int) -> Objective:
    """The loss of a pass of this name, draws by `seed`; else ValueError."""
    if labels not in PASSES:
        raise ValueError(f"labels {labels!r} are unknown; known: {', '.join(PASSES)}")
    drawn = {"sampled": sampled_loss, LIKELIEST: likeliest_loss}
    return drawn[labels](seed) if labels in drawn else text_loss


class ProjectionSums:
    """What accumulates for one projection: the gradient of its weight, the squares of each window's by row, and gᵀg; all float64."""

    def __init__(
        self,
        module: nn.Module,
        device: torch.device,
        before: float = 0,
        keep: Callable[[Tensor], None] | None = None,
        weights: bool = True,
        outputs: bool = True,
    ) -> None:
        """Zeros, which they stay for an expert that no token reaches; `before` is what `Sums` are told.

        `keep` is given the gradient of every window by itself, (d1, d2). Without `weights` there is neither the gradient nor its squares,
        without `outputs` no gᵀg: each is a product of the size of the projection's own.
        """
        import torch

        rows, columns = sides_of(module)
        self.weight = torch.zeros(rows, columns, dtype=torch.float64, device=device) if weights else None
        self.squares = torch.zeros(rows, dtype=torch.float64, device=device)
        self.outputs = Sums(columns, device, before) if outputs else None
        self._keep = keep

    def add(self, inputs: Tensor, gradients: Tensor) -> None:
        """Count windows in: what the projection read (windows, tokens, d1), and g at what it gave (windows, tokens, d2)."""
        import torch

        if self.outputs is not None:
            self.outputs.add(gradients.flatten(0, 1))
        if self.weight is None:
            return
        for x, g in zip(wide(inputs), wide(gradients), strict=True):
            gradient = x.mT @ g
            self.weight += gradient
            if self._keep:
                self._keep(gradient)
            self.squares += torch.linalg.vector_norm(gradient, dim=1, dtype=torch.float64).square()

    def named(self, role: str) -> dict[str, Tensor]:
        """The sums by name, for a projection of this role."""
        weights = {} if self.weight is None else {role: self.weight, f"{role}.rows": self.squares}
        return weights | ({} if self.outputs is None else {f"{role}.outputs": self.outputs.gram()})


def through_block(
    block: nn.Module, layer: int, family: Family, arguments: Arguments, entering: Tensor, upstream: Tensor, sums: dict[str, ProjectionSums]
) -> Tensor:
    """The gradients at the hidden states that enter a block, from those at the ones that leave it, both (windows, tokens, d).

    The block is run again; `sums`, by role, take every projection in. Where projections read a selection of the tokens, as experts do,
    there must be one window alone. Raises NonFiniteError naming the layer.
    """
    import torch

    entering = entering.detach().requires_grad_()
    with torch.enable_grad(), _watched(block, family) as seen:
        leaving = apply(block, entering, arguments)
    outputs = [output for _, output in seen.values()]
    gradient, *gradients = torch.autograd.grad(leaving, [entering, *outputs], upstream)
    if not all(finite(one) for one in (gradient, *gradients)):
        raise NonFiniteError(f"layer {layer}: the gradients of the loss inside the block are not finite in {gradient.dtype}; {REMEDY}")
    for (role, (inputs, _)), one in zip(seen.items(), gradients, strict=True):
        sums[role].add(*(values.reshape(len(entering), -1, values.shape[-1]) for values in (inputs, one)))
    return gradient


@contextmanager
def _watched(block: nn.Module, family: Family) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """What each projection of a block reads and gives while the context lasts, by role."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def watch(role: str) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            seen[role] = (args[0].detach(), output)

        return hook

    with removed([block.get_submodule(p.path).register_forward_hook(watch(p.role)) for p in family.projections]):
        yield seen


@contextmanager
def recomputed(model: PreTrainedModel) -> Iterator[None]:
    """While the context lasts a forward pass keeps what enters each block, and the backward pass runs a block again for what is inside."""
    from torch.utils.checkpoint import checkpoint

    with ExitStack() as stack:
        for block in blocks_of(model):
            again = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
            stack.enter_context(forwards([block], again))
        yield
