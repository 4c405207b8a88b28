"""Slopes: how the loss changes, to first order, when one component of a group's factors is dropped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from drank.calibration.gradients import read_gradients
from drank.models.weights import Checkpoint
from drank.runtime.files import replacing
from drank.runtime.log import progress
from drank.spectra.spectrum import read_bases, read_summary

if TYPE_CHECKING:
    import numpy as np


def slopes_of(checkpoint: Checkpoint, spectra: str | Path, gradients: str | Path, device: str = "cpu") -> dict[str, np.ndarray]:
    """δ_i = −b_iᵀ ∇W c_iᵀ of every component of every group, float64 (r,), by name: the first-order change of the loss without it.

    b_i is column i of B, c_i row i of C at full rank, ∇W the gradient of the mean loss per token. This is −σ_i u_iᵀ H v_i with
    `H = L⁻ᵀ ∇W R⁻ᵀ`, ZS-SVD (arXiv:2602.02848), with neither inverse: σ_i u_iᵀ L⁻ᵀ is b_iᵀ, and R⁻ᵀ v_i is c_iᵀ.
    """
    import torch

    shapes, _ = read_summary(spectra)
    found = {}
    for shape in progress(shapes, "slopes, group"):
        coefficients, duals = (part.to(device, torch.float64) for part in read_bases(spectra, {shape.name: shape.max_rank})[shape.name])
        gradient = torch.cat([read_gradients(gradients, layer, shape.role) for layer in shape.layers], dim=1).to(device, torch.float64)
        basis = checkpoint.group_matrix(shape).to(device) @ duals.mT
        found[shape.name] = -(basis * (gradient @ coefficients.mT)).sum(0).cpu().numpy()
    return found


def write_slopes(path: str | Path, slopes: dict[str, np.ndarray]) -> None:
    """Write slopes as one safetensors file, whole or not at all."""
    from safetensors.numpy import save_file

    with replacing(path) as temporary:
        save_file(slopes, temporary)


def read_slopes(path: str | Path) -> dict[str, np.ndarray]:
    """The slopes that `write_slopes` wrote, by group name."""
    from safetensors.numpy import load_file

    return load_file(path)
