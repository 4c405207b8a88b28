"""Anchored factors: of the map that takes what is really read to the dense model's outputs, the best product of each rank.

AA-SVD (arXiv:2604.02119) without its training of blocks: with X what a projection reads in the dense model and X' what it reads once
all before it is compressed, the projections of its own block included, min ‖X W − X' M‖ over M of rank k. By Eckart and Young that is the
best rank k of the least-squares solution T (`target`, with a = 1) in the norm of G' = X'ᵀX'. The paper's G'⁻¹ and its roots are not
needed for it (`decomposition`), and of T's own solve a jitter is all that keeps it defined where text is short.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, cast

from drank.allocation.plan import Plan
from drank.compression.pairing import paired_blocks
from drank.compression.refit import refit_coefficients
from drank.compression.target import target_of
from drank.models.families import Family, Projection, kind_of
from drank.models.groups import Group
from drank.models.lowrank import LowRankLinear, matrix_of
from drank.spectra.decomposition import Left, decompose
from drank.spectra.spectrum import read_bases

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

JITTER = 1e-6
"""λ of the target as a share of the mean diagonal of G': no regularisation, but what a direction that no token excites is solved with.

There T is W. AA-SVD's code adds a jitter where a Cholesky factor does not exist, so that its result hangs on rounding.
"""


def anchor(
    model: PreTrainedModel, dense: PreTrainedModel, plan: Plan, spectra: str | Path, windows: Tensor, batch: int = 8, share: float = 1.0
) -> list[Tensor]:
    """Give a compressed model the anchored factors of a plan's ranks, in place. `windows` are windows of token ids, (windows, tokens).

    Block by block, and within a block input by input in the order in which they are computed (Q, K and V; O; gate and up; down), each
    with the moments that all before it leave. `share` is a of the target: 1 for the dense model's outputs (AA-SVD), 0 for W on what is
    really read. A group of one layer gets both factors anew, under a spectrum with a right factor those that are best in its norm
    ‖S (T − B C) R‖; a shared basis stays, and gets the least-squares coefficients of T; a projection that is stored dense becomes T.
    Experts read other tokens than in the dense model, so that for them a = 0, and one that no token reaches keeps what it has. `dense`
    may be a skeleton (`drank.models.residency`); gives what leaves its last block, one tensor (tokens, d) for each window. Raises
    NonFiniteError naming the layer.
    """
    groups = plan.by_place()
    for pair in paired_blocks(model, dense, windows, batch, "anchored factors, block"):
        for projections, last in stages(pair.family):
            sums = pair.sums({projection.reads for projection in projections}, last=last)
            for name in list(sums):
                one = sums.pop(name)  # no longer in memory than its projections are at work: experts have one each
                left = Left(one.gram)
                for projection in (projection for projection in projections if projection.reads == name):
                    target = target_of(one.gram, one.apart, pair.matrix(projection), share, JITTER)
                    _fill(pair.block.get_submodule(projection.path), groups[pair.layer, projection.role], spectra, left, target)
    return pair.left()


def stages(family: Family) -> Iterator[tuple[list[Projection], bool]]:
    """The projections of a block by the input that they read, in the order in which inputs are computed; those of all experts at once.

    With them whether they are the last.
    """
    found = [list(projections) for _, projections in groupby(family.projections, key=lambda projection: kind_of(projection.reads))]
    for projections in found:
        yield projections, projections is found[-1]


def _fill(module: nn.Module, group: Group, spectra: str | Path, left: Left, target: Tensor) -> None:
    """Give one projection the factors, or where it is stored dense the matrix, that its target asks for."""
    import torch

    with torch.no_grad():
        if not isinstance(module, LowRankLinear):
            matrix_of(module).copy_(target)
        elif len(group.shape.layers) == 1:
            basis, coefficients = anchored_factors(target, left, group.rank, *_right(spectra, group))
            module.basis.weight.copy_(basis.mT)
            module.coefficients.weight.copy_(coefficients.mT)
        else:
            basis, coefficients = (part.weight.detach().double().mT for part in (module.basis, module.coefficients))
            fitted = refit_coefficients(basis, coefficients, cast("Tensor", left.gram), target)
            module.coefficients.weight.copy_(fitted.mT)


def _right(spectra: str | Path, group: Group) -> tuple[Tensor, Tensor] | tuple[()]:
    """C and D of full rank for a spectrum with a right factor, nothing for others."""
    coefficients, duals = read_bases(spectra, {group.shape.name: group.shape.max_rank})[group.shape.name]
    return () if duals is coefficients else (coefficients, duals)


def anchored_factors(
    target: Tensor, left: Left, rank: int, coefficients: Tensor | None = None, duals: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """B (d1, k) and C (k, d2), float64, rows of C of length 1: the best of their rank for T (d1, d2) under ‖S (T − B C) R‖.

    R is the identity unless C and D = C R Rᵀ of full rank (r, d2) are given, of a decomposition of W under it (`decomposition`). The rows
    of T are combinations of those of W, hence of C, so that T = (T Dᵀ) C, and C R has orthonormal rows: what is to be truncated is
    T Dᵀ alone, in the norm of S, and R need not be known.
    """
    if coefficients is not None and duals is not None:
        coefficients, duals = (part.to(target.device, target.dtype) for part in (coefficients, duals))
        target = target @ duals.mT
    rows = decompose(target, left).coefficients[:rank]
    basis = target @ rows.mT
    rows = rows if coefficients is None else rows @ coefficients
    lengths = rows.norm(dim=1)
    return basis * lengths, rows / lengths[:, None]
