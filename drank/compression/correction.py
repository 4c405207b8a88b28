"""Corrections: natural-gradient steps of all factors at once towards what the dense model predicts.

Each step differentiates KL(dense ‖ compressed) over calibration text, without labels, and preconditions the gradient of every linear map
by Kronecker factors (K-FAC, arXiv:1503.05671): the second moment of what the map reads and that of the loss's gradients at what it gives.
For a projection with W ≈ B C those of the two maps follow from its own, so that one pass serves both:

    S_B = G⁻¹ ∇W Cᵀ (C H Cᵀ)⁻¹,    S_C = (Bᵀ G B)⁻¹ Bᵀ ∇W H⁻¹.

Kronecker factors know nothing of how projections and tokens act together, which is what a compressed model suffers from (docs/l-rank.md),
so that they say where to go and not how far: one size for the whole model is searched for by the loss itself.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from drank.calibration.backward import logits_of
from drank.calibration.gradients import collect, read_gradients
from drank.calibration.losses import divergence
from drank.calibration.moments import calibrate, open_stream, read_moments
from drank.calibration.streams import run_block, wide
from drank.models.families import blocks_of, projections_of
from drank.models.lowrank import LowRankLinear, matrix_of
from drank.models.residency import resident
from drank.runtime.log import progress
from drank.spectra.weightings import MOMENT, OUTPUTS, TOKENS

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

DAMPING = 0.1
"""What is added to every Kronecker factor, as a multiple of its mean diagonal."""

SEARCH = 16
"""Windows, at most, on which the size of a step is searched; never more than a quarter of all."""

FIRST = 0.025
"""The share of the loss that the first size tried would take away if the loss fell along a straight line."""

DOUBLINGS = 10
"""How often a size is doubled at most."""


@dataclass(frozen=True)
class Direction:
    """A view of a parameter, (in, out), its preconditioned gradient in float32, and how fast the loss falls along it."""

    parameter: Tensor
    step: Tensor
    slope: float


def correct(model: PreTrainedModel, dense: PreTrainedModel, windows: Tensor, count: int, batch: int = 8) -> list[float]:
    """Take up to `count` steps, in place; gives back the divergence per token on the windows of the search before and after each.

    `windows` are windows of token ids, (windows, tokens). The last of them are kept from the gradients, so that how far to go is told by
    text that did not say where to: no step is taken that does not lower the divergence there, and none after one that was not. One window
    alone serves both. `dense` is the model that was compressed, or a skeleton of it (`drank.models.residency`). Gradients and moments lie
    in the folder for temporary files in the meantime. Raises NonFiniteError naming the layer.
    """
    kept = min(SEARCH, max(1, len(windows) // 4))
    seen = windows[:-kept] if len(windows) > 1 else windows
    searched, reference = windows[-kept:], leaving_states(dense, windows, batch)
    found = [divergence_of(model, searched, reference[-kept:], batch)]
    for number in range(1, count + 1):
        with TemporaryDirectory(prefix="drank-correction-") as work:
            collect(model, seen, Path(work) / "gradients", {}, batch, reference=reference[: len(seen)])
            calibrate(model, seen, Path(work) / "moments", {}, batch)
            directions = _directions(model, Path(work) / "gradients", Path(work) / "moments")
        size, lowest = _search(model, directions, searched, reference[-kept:], batch, found[-1])
        log.info("correction %d of %d: KL to the dense model %.4f → %.4f per token, step size %.3g", number, count, found[-1], lowest, size)
        found.append(lowest)
        if size == 0:
            break
    return found


def leaving_states(model: PreTrainedModel, windows: Tensor, batch: int = 8) -> list[Tensor]:
    """The hidden states that leave the last block, one tensor (tokens, d) for each window."""
    stream = open_stream(model, windows, batch)
    for layer in progress(range(len(blocks_of(model))), "dense model, block"):
        with resident(model, layer) as block:
            stream.states = run_block(block, layer, stream)
    return [states.cpu() for chunk in stream.states for states in chunk]


def divergence_of(model: PreTrainedModel, windows: Tensor, reference: Sequence[Tensor], batch: int = 8) -> float:
    """The mean KL per predicted token of what the model predicts from what leaves the last block of another, in nats."""
    import torch

    total, done = 0.0, 0
    with torch.no_grad():
        for ids in windows.split(batch):
            logits = wide(model(input_ids=ids.to(model.device), use_cache=False).logits[:, :-1])
            for one, window in zip(logits, ids, strict=True):
                wanted = logits_of(model, reference[done][None].to(model.device), window[None])[0]
                total, done = total + divergence(wanted, one).double().sum().item(), done + 1
    return total / windows[:, 1:].numel()


def _search(
    model: PreTrainedModel, directions: Sequence[Direction], windows: Tensor, reference: Sequence[Tensor], batch: int, before: float
) -> tuple[float, float]:
    """The size of the step taken and the divergence after it: sizes are doubled while it falls; 0 where already the first is too large."""
    import torch

    slope = math.fsum(one.slope for one in directions)
    if slope <= 0:
        return 0.0, before
    start = [one.parameter.detach().clone() for one in directions]

    def move(size: float) -> None:
        with torch.no_grad():
            for one, values in zip(directions, start, strict=True):
                one.parameter.copy_(values - size * one.step)

    taken, lowest, size = 0.0, before, FIRST * before / slope
    for _ in range(DOUBLINGS):
        move(size)
        reached = divergence_of(model, windows, reference, batch)
        if not reached < lowest:
            break
        taken, lowest, size = size, reached, 2 * size
    move(taken)
    return taken, lowest


def _directions(model: PreTrainedModel, gradients: Path, moments: Path) -> list[Direction]:
    """The preconditioned gradients of every factor, and of every projection that is stored dense."""
    import torch

    bases: dict[int, list[tuple[LowRankLinear, Tensor, Tensor, Tensor]]] = {}
    found = []
    for layer, projection, module in projections_of(model):
        names = {"role": projection.role, "reads": projection.reads}
        tokens = read_moments(moments, layer, TOKENS.format(**names)).clamp(min=1)
        gradient = read_gradients(gradients, layer, projection.role).to(model.device, torch.float64)
        inputs = _damped((read_moments(moments, layer, MOMENT.format(**names)) / tokens).to(model.device))
        outputs = _damped(read_gradients(gradients, layer, OUTPUTS.format(**names)).to(model.device))
        if not isinstance(module, LowRankLinear):
            found.append(_direction(matrix_of(module), inputs, gradient, outputs))
            continue
        basis, rows = (part.weight.detach().double().mT for part in (module.basis, module.coefficients))
        found.append(_direction(module.coefficients.weight.mT, basis.mT @ inputs @ basis, basis.mT @ gradient, outputs))
        bases.setdefault(id(module.basis), []).append((module, inputs, gradient @ rows.mT, rows @ outputs @ rows.mT))
    for members in bases.values():
        modules, read, products, projected = zip(*members, strict=True)
        gradient, outputs = torch.stack(products).sum(0), torch.stack(projected).sum(0)
        found.append(_direction(modules[0].basis.weight.mT, torch.stack(read).mean(0), gradient, outputs))
    return found


def _direction(parameter: Tensor, inputs: Tensor, gradient: Tensor, outputs: Tensor) -> Direction:
    """inputs⁻¹ gradient outputs⁻¹; nothing where a factor has no inverse, as it has none for an expert that no token reached."""
    import torch

    (left, failed), (right, too) = (torch.linalg.cholesky_ex(factor) for factor in (inputs, outputs))
    if failed or too:
        return Direction(parameter, torch.zeros_like(gradient, dtype=torch.float32), 0.0)
    step = torch.cholesky_solve(torch.cholesky_solve(gradient, left).mT, right).mT
    return Direction(parameter, step.float(), float((step * gradient).sum()))


def _damped(factor: Tensor) -> Tensor:
    """With `DAMPING` × its mean diagonal on the diagonal.

    Done before a factor is projected on a basis: the loss may not depend on the scale of a projection at all, as before a norm of queries
    and keys, and a factor that is zero along a component says nothing of how far a step along it may go.
    """
    import torch

    return factor + torch.eye(len(factor), dtype=factor.dtype, device=factor.device) * (DAMPING * factor.diagonal().mean())
