"""The map that a projection of a compressed model is asked for, when its inputs are no longer those of the dense model.

With X what it reads in the dense model, X' in the compressed one and G' = X'ᵀX',

    T = (G' + λI)⁻¹ ((a X'ᵀX + (1 − a) G') + λI) W = W + a (G' + λI)⁻¹ X'ᵀ(X − X') W,

the minimum over M of a ‖X W − X' M‖² + (1 − a) ‖X' (W − M)‖² + λ ‖W − M‖². It reads inputs only: no labels, no gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drank.spectra.decomposition import eigh

if TYPE_CHECKING:
    from torch import Tensor

SOUND = 0.9
"""What share of λ is at least left of it in the smallest eigenvalue of G' + λI, which in exact arithmetic is no smaller than λ."""

CLEAR = 100
"""How many times as large as the most negative eigenvalue of G', which rounding alone makes, one has to be where it is not."""

VECTORS, ROUNDS = 4, 6
"""Of the iteration that finds the smallest eigenvalue."""


def target_of(gram: Tensor, apart: Tensor | None, matrix: Tensor, share: float, ridge: float) -> Tensor:
    """T, (d1, d2) float64, from G' and X'ᵀ(X − X') (d1, d1), W (d1, d2) and a.

    It is W itself where no token was read, and where nothing is known of a difference between what is read. `ridge` is λ as a share of
    the mean diagonal of G'. Where rounding of float32 sums hides λ, as in long text of few different tokens, W stays in directions that are
    not well above what it did.
    """
    import torch

    added = ridge_of(gram, ridge)
    if apart is None or not apart.any() or not added.any():
        return matrix
    wanted, level = share * (apart @ matrix), added[0, 0]
    lower, failed = torch.linalg.cholesky_ex(gram + added)
    if not failed and least_eigenvalue(lower) > SOUND * level:
        return matrix + torch.cholesky_solve(wanted, lower)
    values, vectors = eigh(gram)
    clear = values > -CLEAR * values[0]
    vectors = vectors[:, clear]
    return matrix + vectors @ (vectors.mT @ wanted / (values[clear] + level)[:, None])


def ridge_of(gram: Tensor, ridge: float) -> Tensor:
    """λI, (d1, d1), with λ that share of the mean diagonal of G'."""
    import torch

    return torch.eye(len(gram), dtype=gram.dtype, device=gram.device) * (ridge * gram.diagonal().mean())


def least_eigenvalue(lower: Tensor) -> Tensor:
    """The smallest eigenvalue of L Lᵀ, (), from above, of L (d1, d1) lower triangular: by inverse iteration on a few vectors."""
    import torch

    start = torch.randn(len(lower), VECTORS, dtype=lower.dtype, generator=torch.Generator().manual_seed(0)).to(lower.device)
    block = torch.linalg.qr(start).Q
    for _ in range(ROUNDS):
        solved = torch.cholesky_solve(block, lower)
        block = torch.linalg.qr(solved).Q
    return 1 / torch.linalg.matrix_norm(torch.cholesky_solve(block, lower), 2)
