"""The refit: coefficients made again for the inputs that the compressed model really sees."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from drank.calibration.moments import check_finite, collecting, open_stream
from drank.calibration.streams import advance, step
from drank.models.families import blocks_of, family_of
from drank.models.lowrank import LowRankLinear
from drank.models.weights import Checkpoint
from drank.runtime.log import progress

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

EXCITED = 1e-6
"""Share of the largest eigenvalue of Bᵀ G' B, B with columns of length 1, below which a direction keeps its coefficients.

What little text says of such directions is noise: with 64 tokens a refit of everything makes a model worse by orders of magnitude.
"""


ORDERS = ("in-order", "at-once")
"""Whether a block is refitted to what its refitted predecessors produce, or all blocks to one pass of the model as it was."""


def refit_coefficients(basis: Tensor, coefficients: Tensor, gram: Tensor, matrix: Tensor) -> Tensor:
    """C' = (Bᵀ G' B)⁻¹ Bᵀ G' W, (k, d2): the coefficients that best reproduce W on inputs with second moment G'.

    `basis` is (d1, k), `coefficients` (k, d2), `gram` (d1, d1), `matrix` (d1, d2), all float64. Directions of the basis that the inputs
    hardly ever excite (`EXCITED`) keep the coefficients they had. SVD-LLM (arXiv:2403.07378), D-Rank (arXiv:2509.25622).
    """
    import torch

    lengths = basis.norm(dim=0)
    lengths = torch.where(lengths > 0, lengths, 1.0)  # columns W v shrink with σ, and a small one is not yet a badly excited one
    columns = basis / lengths
    scaled = gram @ columns
    values, vectors = torch.linalg.eigh(columns.mT @ scaled)
    excited = values > values[-1] * EXCITED
    along = vectors[:, excited]
    residual = scaled.mT @ (matrix - basis @ coefficients)
    return coefficients + along @ ((along.mT @ residual) / values[excited][:, None]) / lengths[:, None]


def refit(model: PreTrainedModel, checkpoint: Checkpoint, windows: Tensor, batch: int = 8, order: str = "in-order") -> None:
    """Refit the coefficients of a compressed model in place to the inputs that it really sees, block by block.

    "in-order": the inputs of a block are those that its refitted predecessors produce (D-Rank, arXiv:2509.25622).
    "at-once": those that the model produces before anything is refitted, so that one pass serves all blocks (Basis Sharing,
    arXiv:2410.03765). Either way the block's own projections are not yet refitted when its moments are taken. `windows` are the
    calibration windows of token ids, (windows, tokens). Raises NonFiniteError naming the layer, ValueError for another order.
    """
    if order not in ORDERS:
        raise ValueError(f"refit order {order!r} is unknown; known: {', '.join(ORDERS)}")
    family = family_of(model.config)
    stream = open_stream(model, windows, batch)
    for layer, block in enumerate(progress(blocks_of(model), "refit, block")):
        with collecting(block, family) as statistics:
            if order == "at-once":
                advance(block, layer, stream)
            else:
                deque(step(block, layer, stream), maxlen=0)
        check_finite(statistics, layer)
        _refit_block(block, layer, checkpoint, statistics)
        if order == "in-order":
            advance(block, layer, stream)


def _refit_block(block: nn.Module, layer: int, checkpoint: Checkpoint, statistics: dict[str, Tensor]) -> None:
    import torch

    for projection in checkpoint.family.projections:
        module = block.get_submodule(projection.path)
        if isinstance(module, LowRankLinear):
            basis, coefficients = (part.weight.detach().double().mT for part in (module.basis, module.coefficients))
            matrix = checkpoint.matrix(layer, projection.role).to(basis.device)
            fitted = refit_coefficients(basis, coefficients, statistics[projection.reads].to(basis.device), matrix)
            with torch.no_grad():
                module.coefficients.weight.copy_(fitted.mT)
