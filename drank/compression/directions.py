"""Where corrections go: the preconditioned gradients of all factors, made of the moments and the gradients of one projection at a time.

For a projection with W ≈ B C the Kronecker factors of both maps follow from its own (`drank.compression.correction`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drank.calibration.gradients import read_gradients
from drank.calibration.moments import read_moments
from drank.models.families import projections_of
from drank.models.lowrank import LowRankLinear, matrix_of
from drank.spectra.weightings import MOMENT, OUTPUTS, TOKENS

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

DAMPING = 0.1
"""What is added to every Kronecker factor, as a multiple of its mean diagonal."""


@dataclass(frozen=True)
class Direction:
    """A view of a parameter, (in, out), its preconditioned gradient in float32, and how fast the loss falls along it."""

    parameter: Tensor
    step: Tensor
    slope: float


def directions_of(model: PreTrainedModel, gradients: Path, moments: Path) -> list[Direction]:
    """The preconditioned gradients of every factor, and of every projection that is stored dense."""
    import torch

    bases: dict[int, _Basis] = {}
    members = Counter(id(module.basis) for _, _, module in projections_of(model) if isinstance(module, LowRankLinear))
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
        shared = bases.setdefault(id(module.basis), _Basis(module.basis.weight.mT))
        shared.add(inputs, gradient @ rows.mT, rows @ outputs @ rows.mT)
        if shared.members == members[id(module.basis)]:  # what it holds is as large as a moment: no longer than needed
            found.append(bases.pop(id(module.basis)).direction())
    return found


class _Basis:
    """What a basis is told by the layers that share it: sums of their gradients and of both factors."""

    def __init__(self, parameter: Tensor) -> None:
        self.parameter, self.members = parameter, 0
        self.sums: tuple[Tensor, ...] = ()

    def add(self, inputs: Tensor, gradient: Tensor, outputs: Tensor) -> None:
        """Count one layer in."""
        told = (inputs, gradient, outputs)
        self.sums = told if not self.members else tuple(one + other for one, other in zip(self.sums, told, strict=True))
        self.members += 1

    def direction(self) -> Direction:
        """The direction that all of them ask for together."""
        inputs, gradient, outputs = self.sums
        return _direction(self.parameter, inputs / self.members, gradient, outputs)


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
