"""The compensated refit: factors made again, block by block, towards what the dense model's outputs ask of the inputs that are really seen.

A refit to W reproduces W on what a compressed projection reads, and so hands every error upstream on. The target (`target`) with a ridge
takes some of them back. docs/l-rank.md derives it and says whose ideas it is made of.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from drank.allocation.plan import Plan
from drank.compression.pairing import paired_blocks
from drank.compression.refit import refit_coefficients
from drank.compression.target import ridge_of, target_of
from drank.models.groups import Group
from drank.models.lowrank import LowRankLinear, matrix_of
from drank.spectra.spectrum import read_bases

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

RIDGE = 0.01
"""λ as a share of the mean diagonal of G'."""


def compensate(
    model: PreTrainedModel, dense: PreTrainedModel, plan: Plan, spectra: str | Path, windows: Tensor, batch: int = 8, share: float = 0.5
) -> list[Tensor]:
    """Refit a compressed model in place, block by block, towards T. `windows` are windows of token ids, (windows, tokens).

    The inputs of a block are those that its refitted predecessors produce; its own projections are as `convert` made them when its
    inputs are taken. A group of one layer gets B = T Dᵀ, with D the duals of its spectrum (for its rows C the best basis under the norm
    of the method), then the least-squares coefficients of T on that basis; a shared basis stays, and gets new coefficients; a projection
    that is stored dense becomes T. Experts read other tokens than in the dense model, so that for them a = 0. `dense` may be a skeleton
    (`drank.models.residency`); gives what leaves its last block, one tensor (tokens, d) for each window. Raises NonFiniteError naming the
    layer.
    """
    groups = plan.by_place()
    for pair in paired_blocks(model, dense, windows, batch, "compensated refit, block"):
        sums = pair.sums()
        for projection in pair.family.projections:
            if projection.reads in sums:
                one = sums[projection.reads]
                target = target_of(one.gram, one.apart, pair.matrix(projection), share, RIDGE)
                _refit(pair.block.get_submodule(projection.path), groups[pair.layer, projection.role], spectra, one.gram, target)
    return pair.left()


def _refit(module: nn.Module, group: Group, spectra: str | Path, gram: Tensor, target: Tensor) -> None:
    """Give one projection the factors, or where it is stored dense the matrix, that its target asks for."""
    import torch

    with torch.no_grad():
        if not isinstance(module, LowRankLinear):
            if group.dense:
                matrix_of(module).copy_(target)
            return
        if len(group.shape.layers) == 1:
            coefficients, duals = (
                part.to(target.device, torch.float64) for part in read_bases(spectra, {group.shape.name: group.rank})[group.shape.name]
            )
            lengths = coefficients.norm(dim=1)
            basis, coefficients = (target @ duals.mT) * lengths, coefficients / lengths[:, None]
            module.basis.weight.copy_(basis.mT)
        else:
            basis, coefficients = (part.weight.detach().double().mT for part in (module.basis, module.coefficients))
        fitted = refit_coefficients(basis, coefficients, gram + ridge_of(gram, RIDGE), target)
        module.coefficients.weight.copy_(fitted.mT)
