"""Pivots of a basis: rows that all others are combinations of, with small weights (PIFA, arXiv:2501.19090)."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST = 1e-4
"""The smallest scale of an input, as a share of the largest: what hardly ever is anything cannot ask for weights without bound."""


def pivot(basis: Tensor, scales: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """k rows I of a basis, (k,), and N = B_Ī B_I⁻¹, (d1 − k, k): the other rows, in their order, as combinations of these.

    `basis` is (d1, k) in float64, of any rank; `scales` (d1,) are the root mean squares of the inputs. Rows are multiplied by them before
    pivots are chosen, so that inputs with large activations become pivots, which are not rounded. The choice is that of a QR with column
    pivoting of the transposed rows, on a GPU that of an LU with partial pivoting, of an orthonormal basis of the same span: one that is
    not of full rank is so served too.
    """
    rows, rank = basis.shape
    weights = _weights(basis, scales)
    span = torch.linalg.qr(weights[:, None] * basis).Q
    chosen = (_by_columns if span.device.type == "cpu" else _by_elimination)(span)[:rank]
    others = torch.ones(rows, dtype=torch.bool, device=basis.device)
    others[chosen] = False
    combined = torch.linalg.solve(span[chosen], span[others], left=False) if rank < rows else span.new_zeros(0, rank)
    return chosen, combined * weights[chosen] / weights[others][:, None]


def _weights(basis: Tensor, scales: Tensor | None) -> Tensor:
    """What each row is multiplied by; 1 where nothing is known of the inputs, or all of them are zero."""
    if scales is None or not scales.any():
        return torch.ones(len(basis), dtype=basis.dtype, device=basis.device)
    weights = scales.to(basis.device, basis.dtype)
    return weights.clamp(min=SMALLEST * weights.max())


def _by_columns(span: Tensor) -> Tensor:
    """All rows, the pivots first, by LAPACK's QR with column pivoting."""
    import scipy.linalg

    order = scipy.linalg.qr(span.mT.numpy(), mode="r", pivoting=True, check_finite=False)[1]
    return torch.from_numpy(order).long()


def _by_elimination(span: Tensor) -> Tensor:
    """All rows, the pivots first, by an LU with partial pivoting, which stays on the device."""
    _, swaps = torch.linalg.lu_factor(span)
    order = list(range(len(span)))
    for place, other in enumerate((swaps - 1).tolist()):
        order[place], order[other] = order[other], order[place]
    return torch.tensor(order, device=span.device)
