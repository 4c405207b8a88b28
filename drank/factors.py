"""The factors of a plan: slices of the spectra's bases, and their refit to the inputs that the compressed model really sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from drank.families import blocks_of, family_of
from drank.lowrank import LowRankLinear
from drank.moments import check_finite, collecting, open_stream, run_block
from drank.plan import Plan
from drank.sources import Checkpoint
from drank.spectra import read_coefficients
from drank.steplog import progress

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def factors_of(checkpoint: Checkpoint, plan: Plan, spectra: str | Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Basis (d1, k) and coefficients (k, n·d2), float64, of every factored group of a plan, by name.

    With V the leading right singular vectors of L W: `C = Vᵀ` and `B = W V`, the best rank-k product under that weighting.
    """
    kept = [group for group in plan.groups if not group.dense]
    sliced = read_coefficients(spectra, {group.shape.name: group.rank for group in kept})
    result = {}
    for group in progress(kept, "factors, group"):
        coefficients = sliced[group.shape.name].double()
        result[group.shape.name] = (checkpoint.group_matrix(group.shape) @ coefficients.mT, coefficients)
    return result


def refit_coefficients(basis: Tensor, coefficients: Tensor, gram: Tensor, matrix: Tensor) -> Tensor:
    """C' = (Bᵀ G' B)⁻¹ Bᵀ G' W, (k, d2): the coefficients that best reproduce W on inputs with second moment G'.

    `basis` is (d1, k), `coefficients` (k, d2), `gram` (d1, d1), `matrix` (d1, d2), all float64. Directions of the basis that the inputs
    never excite keep the coefficients they had. SVD-LLM (arXiv:2403.07378), D-Rank (arXiv:2509.25622).
    """
    import torch

    scaled = gram @ basis
    values, vectors = torch.linalg.eigh(basis.mT @ scaled)
    excited = values > values[-1] * 1e-12
    along = vectors[:, excited]
    residual = scaled.mT @ (matrix - basis @ coefficients)
    return coefficients + along @ ((along.mT @ residual) / values[excited][:, None])


def refit(model: PreTrainedModel, checkpoint: Checkpoint, windows: Tensor, batch: int = 8) -> None:
    """Refit the coefficients of a compressed model in place, block by block: each sees the inputs its refitted predecessors produce.

    The moments of a block's own inputs are taken with its projections compressed and not yet refitted. `windows` are the calibration
    windows of token ids, (windows, tokens). Raises NonFiniteError naming the layer.
    """
    import torch

    family = family_of(model.config.model_type)
    stream = open_stream(model, windows, batch)
    for layer, block in enumerate(progress(blocks_of(model), "refit, block")):
        with collecting(block, family) as grams:
            run_block(block, layer, stream)
        check_finite(grams, layer)
        for projection in family.projections:
            module = block.get_submodule(projection.path)
            if isinstance(module, LowRankLinear):
                basis, coefficients = (part.weight.detach().double().mT for part in (module.basis, module.coefficients))
                matrix = checkpoint.matrix(layer, projection.role).to(basis.device)
                fitted = refit_coefficients(basis, coefficients, grams[projection.reads], matrix)
                with torch.no_grad():
                    module.coefficients.weight.copy_(fitted.mT)
        stream.states = run_block(block, layer, stream)
