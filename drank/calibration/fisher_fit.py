"""The two factors whose Kronecker product is nearest to the Fisher matrix of the gradients of single windows: GFWSVD (arXiv:2505.17974).

With G_b the gradient of the mean loss of window b by W (d1 × d2), b = 1 … K, the Fisher matrix is F = (1/K) Σ vec(G_b) vec(G_b)ᵀ. The
nearest product X ⊗ Y in Frobenius norm is the leading singular triple (Van Loan and Pitsianis) of the map

    V (d1 × d1)  ↦  (1/K) Σ G_bᵀ V G_b (d2 × d2):

X = √s · v on the side of the inputs and Y = √s · u on that of the outputs, both symmetric and positive semidefinite. The mean over tokens
of xxᵀ and of ggᵀ (K-FAC) is another product: it does not see what the tokens of a window have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.calibration.passes import INPUT_SIDE, OUTPUT_SIDE
from drank.calibration.sums import PANEL
from drank.runtime.files import remove

if TYPE_CHECKING:
    from torch import Tensor

AT_ONCE = 16
"""Windows whose gradients are multiplied, and are on a GPU, at once: those of all windows by one projection are in the host's memory."""

STEPS = 100
"""Steps of the iteration at most; some ten are what it takes."""

TOLERANCE = 1e-7
"""Residual of the singular vectors, as a share of the value, at which the steps end; a ten-thousandth of it for float64 gradients."""


class WindowGradients:
    """The gradients of every window by the projections of one block, in a folder: a file for each, read back one at a time."""

    def __init__(self, folder: Path) -> None:
        """An empty folder; what an interrupted run left there is removed."""
        remove(folder)
        folder.mkdir(parents=True)
        self._folder = folder

    def keeper(self, role: str) -> Callable[[Tensor], None]:
        """What takes the gradients of a projection in, window by window, each (d1, d2)."""

        def keep(gradient: Tensor) -> None:
            with (self._folder / role).open("ab") as file:
                gradient.contiguous().cpu().numpy().tofile(file)

        return keep

    def factors(self, like: Mapping[str, Tensor], scale: float, windows: int) -> dict[str, Tensor]:
        """The factors of every projection, by role and side, from the gradients times `scale`; `like` gives shape, device and dtype.

        They are over so many `windows`, of which some may have reached no expert: their gradients there are zero.
        """
        found = {}
        for role, one in like.items():
            for side, factor in zip((INPUT_SIDE, OUTPUT_SIDE), kronecker_factors(self._read(role, one), windows, one.device), strict=True):
                found[f"{role}.{side}"] = scale * factor
        return found

    def _read(self, role: str, like: Tensor) -> Tensor:
        import numpy as np
        import torch

        file = self._folder / role
        none = torch.zeros(0, dtype=like.dtype)
        kept = torch.from_numpy(np.fromfile(file, dtype=str(like.dtype).removeprefix("torch."))) if file.exists() else none
        return kept.reshape(-1, *like.shape)


def kronecker_factors(gradients: Tensor, windows: int | None = None, device: Any = None) -> tuple[Tensor, Tensor]:
    """X (d1, d1) and Y (d2, d2), float64, from gradients (K, d1, d2); zeros where all of these are, or where there is none.

    With `windows` these are so many, those that are not given being zero. The products are taken on `device`, where the factors are then;
    the gradients stay where they are, for those of all windows may be more than a GPU holds.

    The steps begin at the identity. All iterates are symmetric, and the leading ones of a map between positive semidefinite matrices are
    positive semidefinite themselves. Raises ValueError where the steps do not end (`_leading`).
    """
    import torch

    given, rows, columns = gradients.shape
    count, device = windows or given, device or gradients.device
    if not given or not gradients.any():
        empty = [torch.zeros(side, side, dtype=torch.float64, device=device) for side in (rows, columns)]
        return empty[0], empty[1]
    # Gradients have no unit of their own: with their mean square as 1, what is compared and summed below has sizes near 1.
    size = float(torch.linalg.vector_norm(gradients, dtype=torch.float64)) ** 2 / count

    def towards_outputs(matrix: Tensor) -> Tensor:
        found = _Symmetric(columns, device)
        for chunk in _moved(gradients, device):
            found.add(chunk.flatten(0, 1), (matrix.to(chunk.dtype) @ chunk).flatten(0, 1))
        return found.whole() / (count * size)

    def towards_inputs(matrix: Tensor) -> Tensor:
        found = _Symmetric(rows, device)
        for chunk in _moved(gradients, device):
            found.add(chunk.mT.flatten(0, 1), (chunk @ matrix.to(chunk.dtype)).mT.flatten(0, 1))
        return found.whole() / (count * size)

    start = torch.eye(rows, dtype=torch.float64, device=device)
    tolerance = TOLERANCE if gradients.dtype == torch.float32 else TOLERANCE * 1e-4
    value, inputs, outputs = _leading(towards_outputs, towards_inputs, start, tolerance)
    root = (size * value) ** 0.5 * (1.0 if inputs.trace() >= 0 else -1.0)
    return inputs * root, outputs * root


def _moved(gradients: Tensor, device: Any) -> Iterator[Tensor]:
    """The gradients on a device, a few windows at a time."""
    for chunk in gradients.split(AT_ONCE):
        yield chunk.to(device)


class _Symmetric:
    """A sum of products AᵀB that are symmetric, float64, of which only panels on and below the diagonal are computed."""

    def __init__(self, side: int, device: Any) -> None:
        import torch

        self._sum = torch.zeros(side, side, dtype=torch.float64, device=device)

    def add(self, left: Tensor, right: Tensor) -> None:
        for start in range(0, len(self._sum), PANEL):
            stop = start + PANEL
            self._sum[start:, start:stop] += left[:, start:].mT @ right[:, start:stop]

    def whole(self) -> Tensor:
        return self._sum.tril() + self._sum.tril(-1).mT


def _leading(
    forth: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor], start: Tensor, tolerance: float
) -> tuple[float, Tensor, Tensor]:
    """The largest singular value of a map, and its right and left vectors, of norm 1, in the form of matrices (d1, d1) and (d2, d2).

    Golub-Kahan-Lanczos with full reorthogonalisation, where the vectors are. The products are all that costs, and ARPACK, which scipy has,
    takes 23 to 43 of them where this takes 18. Raises ValueError where the steps do not end.
    """
    import torch

    rights = [start / start.norm()]
    lefts: list[Tensor] = []
    alphas: list[float] = []
    betas: list[float] = []
    for _ in range(STEPS):
        left = forth(rights[-1]) - (betas[-1] * lefts[-1] if lefts else 0)
        left = _orthogonal(left, lefts)
        alphas.append(float(left.norm()))
        lefts.append(left / max(alphas[-1], 1e-300))
        right = _orthogonal(back(lefts[-1]) - alphas[-1] * rights[-1], rights)
        betas.append(float(right.norm()))
        band = torch.diag(torch.tensor(alphas, dtype=torch.float64))
        band += torch.diag(torch.tensor(betas[:-1], dtype=torch.float64), 1)
        u, s, vh = torch.linalg.svd(band)
        if betas[-1] * abs(float(u[-1, 0])) <= tolerance * float(s[0]):
            return float(s[0]), _combined(vh[0], rights), _combined(u[:, 0], lefts)
        rights.append(right / betas[-1])
    raise ValueError(
        f"the Kronecker factors of the Fisher matrix were not found in {STEPS} steps, so its two largest terms are of one size; give the "
        "calibration more windows, or the method `weighting: kronecker-fisher`"
    )


def _combined(weights: Tensor, vectors: list[Tensor]) -> Tensor:
    """The sum of vectors, each times its weight."""
    total = vectors[0] * weights[0].item()
    for weight, vector in zip(weights[1:].tolist(), vectors[1:], strict=True):
        total = total + weight * vector
    return total


def _orthogonal(vector: Tensor, others: list[Tensor]) -> Tensor:
    """What a vector has that the orthonormal others lack; twice is enough."""
    for _ in range(2):
        for other in others:
            vector = vector - (vector * other).sum() * other
    return vector
