"""The map that a projection of a compressed model is asked for, when its inputs are no longer those of the dense model.

With X what it reads in the dense model, X' in the compressed one and G' = X'ᵀX',

    T = (G' + λI)⁻¹ ((a X'ᵀX + (1 − a) G') + λI) W = W + a (G' + λI)⁻¹ X'ᵀ(X − X') W,

the minimum over M of a ‖X W − X' M‖² + (1 − a) ‖X' (W − M)‖² + λ ‖W − M‖². It reads inputs only: no labels, no gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def target_of(gram: Tensor, apart: Tensor | None, matrix: Tensor, share: float, ridge: float) -> Tensor:
    """T, (d1, d2) float64, from G' and X'ᵀ(X − X') (d1, d1), W (d1, d2) and a.

    It is W itself where no token was read, and where nothing is known of how what is read differs. `ridge` is λ as a share of the mean
    diagonal of G'.
    """
    import torch

    added = ridge_of(gram, ridge)
    if apart is None or not added.any():
        return matrix
    return matrix + share * torch.cholesky_solve(apart @ matrix, torch.linalg.cholesky(gram + added))


def ridge_of(gram: Tensor, ridge: float) -> Tensor:
    """λI, (d1, d1), with λ that share of the mean diagonal of G'."""
    import torch

    return torch.eye(len(gram), dtype=gram.dtype, device=gram.device) * (ridge * gram.diagonal().mean())
