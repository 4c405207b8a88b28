"""The decomposition of `A = L W R`: its squared singular values λ, and a factor pair of W of which every prefix is the best of its rank.

One eigendecomposition of the smaller side serves every rank, and L is never inverted. With G = LᵀL and V the right singular vectors of
A, the best rank-k product under ‖L (W − B C) R‖ is `C = V_kᵀ R⁻¹` and `B = W R V_k` (Eckart-Young), so that any root of G will do, also a
semidefinite one. R is triangular, a block for each layer of a group; a solve with it stands for its inverse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

EXCITED = 1e-12
"""Share of the largest λ below which a direction counts as one that calibration never excited."""

PANEL = 512
"""Columns of a symmetric or triangular product computed at once: what lies on the far side of the diagonal is left out."""


@dataclass(frozen=True)
class Left:
    """The left factor L of a weighting, by its Gram matrix G = LᵀL: (d1, d1), a diagonal (d1,), or None for the identity; float64.

    Shared by all matrices that read the same input, so that the square root is taken once.
    """

    gram: Tensor | None = None

    @property
    def diagonal(self) -> bool:
        """Whether G is given by its diagonal."""
        return self.gram is not None and self.gram.ndim == 1

    @cached_property
    def root(self) -> Tensor:
        """An L with LᵀL = G: a diagonal's square root, the upper Cholesky factor, or where there is none that of the eigenvalues."""
        import torch

        if self.gram is None:
            raise ValueError("the identity has no matrix; `weigh` and `square` leave out the product with it")
        if self.diagonal:
            return self.gram.sqrt()
        lower, failed = torch.linalg.cholesky_ex(self.gram)
        if not failed:
            return lower.mT
        values, vectors = eigh(self.gram)
        return values.clamp(min=0).sqrt()[:, None] * vectors.mT

    def weigh(self, matrix: Tensor) -> Tensor:
        """L `matrix`."""
        return self._times(self.root, matrix) if self.gram is not None else matrix

    def square(self, matrix: Tensor) -> Tensor:
        """G `matrix`, for which no root is needed."""
        return self._times(self.gram, matrix) if self.gram is not None else matrix

    def _times(self, factor: Tensor, matrix: Tensor) -> Tensor:
        return factor[:, None] * matrix if self.diagonal else factor @ matrix


@dataclass(frozen=True)
class Decomposition:
    """λ in descending order, (r,), and the rows C and D = C R Rᵀ, both (r, width), with r = min(d1, width); all float64.

    The best pair of rank k is `C[:k]` with `B = W D[:k]ᵀ`; at full rank B C = W. Without a right factor D is C, with orthonormal rows.
    """

    energies: Tensor
    coefficients: Tensor
    duals: Tensor


def decompose(matrix: Tensor, left: Left, right: Sequence[Tensor] | None = None) -> Decomposition:
    """The decomposition of `A = L matrix R`, (d1, width), float64.

    `right` are the lower triangular diagonal blocks of R, one for each layer of the group, or None for the identity. Directions that A
    never excites, because the moments or the matrix lack rank, have λ = 0 and come last in the order of plain SVD (of `matrix R`), so
    that the full rank reproduces `matrix`.
    """
    import torch

    if right is None:
        energies, rows = _decompose(matrix, left)
        return Decomposition(energies, rows, rows)
    sides = [len(block) for block in right]
    scaled = torch.cat([part @ block for part, block in zip(matrix.split(sides, dim=1), right, strict=True)], dim=1)
    energies, rows = _decompose(scaled, left)
    parts = list(zip(rows.split(sides, dim=1), right, strict=True))
    coefficients = [torch.linalg.solve_triangular(block, part, upper=False, left=False) for part, block in parts]
    return Decomposition(energies, torch.cat(coefficients, dim=1), torch.cat([part @ block.mT for part, block in parts], dim=1))


def _decompose(matrix: Tensor, left: Left) -> tuple[Tensor, Tensor]:
    """λ, (r,), and orthonormal rows Vᵀ, (r, width), of `L matrix`; float64."""
    import torch

    rows, width = matrix.shape
    weighted = left.weigh(matrix) if width > rows else left.square(matrix)
    values, vectors = eigh(_symmetric(weighted, weighted.mT) if width > rows else _symmetric(matrix.mT, weighted))
    energies, right = values.flip(0).clamp(min=0), vectors.mT.flip(0)
    excited = int((energies > EXCITED * energies[0]).sum()) if energies[0] > 0 else 0
    right, spare = right[:excited], right[excited:]
    energies[excited:] = 0
    if width > rows:
        right = _orthonormal(right @ weighted)
        spare = _left_over(matrix, right, len(spare))
    if len(spare):
        found = torch.cat([right, _by_size(matrix, spare)])
        right = _orthonormal(found) if width > rows else found
    return energies, right


def eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues in ascending order and eigenvectors as columns, of a symmetric matrix of which the lower triangle is read.

    On the CPU by NumPy, whose divide and conquer takes two thirds of the time of torch's at side 4096.
    """
    import numpy as np
    import torch

    if matrix.device.type != "cpu":
        values, vectors = torch.linalg.eigh(matrix)
        return values, vectors
    found = np.linalg.eigh(matrix.numpy())
    return torch.from_numpy(found.eigenvalues), torch.from_numpy(found.eigenvectors)


def _symmetric(left: Tensor, right: Tensor) -> Tensor:
    """`left @ right` where that is symmetric: its lower triangle, with whatever above."""
    import torch

    product = torch.empty(len(left), len(left), dtype=left.dtype, device=left.device)
    for start in range(0, len(left), PANEL):
        torch.mm(left[start:], right[:, start : start + PANEL], out=product[start:, start : start + PANEL])
    return product


def _orthonormal(rows: Tensor) -> Tensor:
    """Orthonormal rows whose every prefix spans what the same prefix of `rows` does.

    Dividing by σ alone would lose orthogonality, and with it W = W V Vᵀ at full rank, by up to eps · (σ_max / σ_min)². What it loses a
    Cholesky factor gives back, at a fraction of the cost of QR, which is left for rows that are far from orthogonal.
    """
    import torch

    rows = rows / rows.norm(dim=1, keepdim=True)
    gram = _symmetric(rows, rows.mT).tril()
    if (gram - torch.eye(len(gram), dtype=gram.dtype, device=gram.device)).norm() < 0.5:
        return torch.linalg.solve_triangular(torch.linalg.cholesky(gram), rows, upper=False)
    return torch.linalg.qr(rows.mT).Q.mT


def _left_over(matrix: Tensor, right: Tensor, count: int) -> Tensor:
    """`count` orthonormal rows that span what of the rows of `matrix` orthonormal rows `right` leave over, where that has this rank.

    Random combinations of what is left over span all of it.
    """
    import torch

    if count == 0:
        return right[:0]
    draws = torch.randn(count, len(matrix), dtype=matrix.dtype, generator=torch.Generator().manual_seed(0)).to(matrix.device)
    mixed = draws @ matrix
    return torch.linalg.qr((mixed - (mixed @ right.mT) @ right).mT).Q.mT


def _by_size(matrix: Tensor, rows: Tensor) -> Tensor:
    """Orthonormal rows turned so that of those that span the same every prefix is the best for `matrix`: the order of plain SVD."""
    import torch

    return torch.linalg.svd(matrix @ rows.mT, full_matrices=False).Vh @ rows
