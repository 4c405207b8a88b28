"""The factors of a plan: slices of the spectra's bases, and their refit to the inputs that the compressed model really sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from drank.allocation.plan import Plan
from drank.models.weights import Checkpoint
from drank.runtime.log import progress
from drank.spectra.spectrum import read_bases

if TYPE_CHECKING:
    from torch import Tensor


def factors_of(checkpoint: Checkpoint, plan: Plan, spectra: str | Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Basis (d1, k) and coefficients (k, n·d2), float64, of every factored group of a plan, by name.

    The first rows of C and D as the spectra hold them, and `B = W Dᵀ`: the best rank-k product under their weighting. The rows of C are
    brought to length 1 (without a right factor they have it), so that neither factor leaves the range of half precision.
    """
    kept = [group for group in plan.groups if not group.dense]
    bases = read_bases(spectra, {group.shape.name: group.rank for group in kept})
    result = {}
    for group in progress(kept, "factors, group"):
        coefficients, duals = (part.double() for part in bases.pop(group.shape.name))
        lengths = coefficients.norm(dim=1)
        basis = checkpoint.group_matrix(group.shape) @ duals.mT
        result[group.shape.name] = (basis * lengths, coefficients / lengths[:, None])
    return result
