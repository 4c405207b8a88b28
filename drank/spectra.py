"""Spectra: the squared singular values of `A = L W`, their effective rank, and right factors of which every prefix is optimal.

One eigendecomposition of the smaller side serves every rank. With G = LᵀL, the best rank-k product under ‖L(W − BC)‖ has `C = V_kᵀ`
and `B = W V_k`, V_k the leading right singular vectors of A (Eckart-Young), so L is never inverted and may be singular.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.families import family_of
from drank.files import replacing, write_text
from drank.moments import read_moments
from drank.plan import Shape
from drank.sources import Checkpoint
from drank.steplog import progress
from drank.weightings import WEIGHTINGS

if TYPE_CHECKING:
    from torch import Tensor

EXCITED = 1e-12
"""Share of the largest λ below which a direction counts as one that calibration never excited."""


def effective_rank(energies: Any) -> float:
    """exp of the Shannon entropy of λ/Σλ, between 1 and the number of non-zero λ; 1 for a spectrum of zeros.

    D-Rank (arXiv:2509.25622), equations 1 and 2: natural logarithm, squared singular values.
    """
    values = [float(value) for value in energies if value > 0]
    total = math.fsum(values)
    shares = [value / total for value in values]
    return math.exp(-math.fsum(share * math.log(share) for share in shares if share > 0))  # a share may be too small for a float


def square_root(gram: Tensor) -> Tensor:
    """A matrix S with SᵀS = `gram`: upper Cholesky factor where that exists, else from the eigendecomposition (semidefinite)."""
    import torch

    lower, failed = torch.linalg.cholesky_ex(gram)
    if not failed:
        return lower.mT
    values, vectors = torch.linalg.eigh(gram)
    return values.clamp(min=0).sqrt()[:, None] * vectors.mT


def decompose(matrix: Tensor, gram: Tensor | None) -> tuple[Tensor, Tensor]:
    """λ in descending order, (min(d1, width),), and C = Vᵀ, (min(d1, width), width), of `A = L matrix` with LᵀL = `gram`.

    `matrix` is (d1, width) and float64, `gram` (d1, d1) or None for the identity. The rows of C are orthonormal. Directions that A never
    excites, because the moments or the matrix lack rank, come last in the order of plain SVD, so that the full rank reproduces `matrix`.
    """
    import torch

    rows, width = matrix.shape
    if width <= rows:
        weighted = matrix if gram is None else gram @ matrix
        values, vectors = torch.linalg.eigh(matrix.mT @ weighted)
    else:
        weighted = matrix if gram is None else square_root(gram) @ matrix
        values, left = torch.linalg.eigh(weighted @ weighted.mT)
    energies = values.flip(0).clamp(min=0)
    excited = int((energies > EXCITED * energies[0]).sum()) if energies[0] > 0 else 0
    if width <= rows:
        right = vectors.flip(1)[:, :excited]
    else:
        right = _orthonormal(weighted.mT @ left.flip(1)[:, :excited])
    if excited < len(energies):
        right = _completed(matrix, right, len(energies))
        energies[excited:] = 0
    return energies, right.mT.contiguous()


def _orthonormal(columns: Tensor) -> Tensor:
    """Orthonormal columns whose every prefix spans what the same prefix of `columns` does.

    Dividing by σ instead would lose orthogonality, and with it W = W V Vᵀ at full rank, by up to eps · (σ_max / σ_min)².
    """
    import torch

    return torch.linalg.qr(columns).Q


def _completed(matrix: Tensor, right: Tensor, count: int) -> Tensor:
    """`right` made up to `count` directions, (width, count), with those that are best for what of `matrix` it leaves over."""
    import torch

    rest = matrix - (matrix @ right) @ right.mT
    directions = torch.linalg.svd(rest, full_matrices=False).Vh[: count - right.shape[1]].mT
    return _orthonormal(torch.cat([right, directions], dim=1))


@dataclass(frozen=True)
class Spectrum:
    """The decomposition of one group: its shape, λ (float64), and C = Vᵀ at full rank (float32)."""

    shape: Shape
    energies: Tensor
    coefficients: Tensor


def spectra_of(checkpoint: Checkpoint, moments: str | Path, weighting: str, group: int, device: str = "cpu") -> Iterator[Spectrum]:
    """The spectra of all groups of a model under one weighting, from its weights and the moments of its inputs."""
    import torch

    reads = {projection.role: projection.reads for projection in family_of(checkpoint.model_type).projections}
    for shape in progress(checkpoint.shapes(group), "spectra, group"):
        grams = [read_moments(moments, layer, reads[shape.role]).to(device) for layer in shape.layers]
        energies, coefficients = decompose(checkpoint.group_matrix(shape).to(device), WEIGHTINGS[weighting](grams))
        yield Spectrum(shape, energies.cpu(), coefficients.to("cpu", torch.float32))


def write_spectra(path: str | Path, spectra: Iterable[Spectrum], facts: dict[str, Any]) -> None:
    """Write spectra as `path` (safetensors, λ and C of each group) and, with the same stem, a JSON summary of their effective ranks."""
    from safetensors.torch import save_file

    tensors, rows = {}, []
    for spectrum in spectra:
        shape = spectrum.shape
        tensors[f"{shape.name}.energies"] = spectrum.energies.cpu()
        tensors[f"{shape.name}.coefficients"] = spectrum.coefficients.cpu()
        summary = {"group": shape.name, "role": shape.role, "layers": shape.layers, "rows": shape.rows, "columns": shape.columns}
        rows.append(summary | {"max_rank": shape.max_rank, "effective_rank": effective_rank(spectrum.energies.tolist())})
    with replacing(path) as temporary:
        save_file(tensors, temporary)
    head = "".join(f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in facts.items())
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    write_text(Path(path).with_suffix(".json"), f'{{\n{head} "groups": [\n  {lines}\n ]\n}}\n')


def read_summary(path: str | Path) -> tuple[list[Shape], dict[str, float]]:
    """The shapes of all groups and their effective ranks by group name, from the JSON summary."""
    groups = json.loads(Path(path).read_text("utf-8"))["groups"]
    shapes = [Shape(row["role"], tuple(row["layers"]), row["rows"], row["columns"]) for row in groups]
    return shapes, {row["group"]: row["effective_rank"] for row in groups}


def read_coefficients(path: str | Path, ranks: dict[str, int]) -> dict[str, Tensor]:
    """The first `rank` rows of C for each named group; only these are read from the file."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name: file.get_slice(f"{name}.coefficients")[:rank] for name, rank in ranks.items()}
