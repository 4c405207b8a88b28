"""The compensated refit: factors made again, block by block, towards what the dense model's outputs ask of the inputs that are really seen.

With X what a projection reads in the dense model and X' what it reads once everything before it is compressed, a refit to W reproduces
W on X' and so hands every error upstream on. The target here takes some of them back:

    T = (G' + λI)⁻¹ ((a X'ᵀX + (1 − a) G') + λI) W,    G' = X'ᵀX',

the minimum over M of a ‖X W − X' M‖² + (1 − a) ‖X' (W − M)‖² + λ ‖W − M‖². It reads inputs only: no labels, no gradients.
docs/l-rank.md derives it and says whose ideas it is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.allocation.plan import Plan
from drank.calibration.moments import open_stream
from drank.calibration.streams import apply, removed, wide
from drank.compression.refit import refit_coefficients
from drank.models.families import Family, Projection, blocks_of, family_of
from drank.models.groups import Group
from drank.models.lowrank import LowRankLinear, matrix_of
from drank.models.residency import resident
from drank.runtime.finite import NonFiniteError, finite
from drank.runtime.log import progress
from drank.spectra.spectrum import read_bases

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedModel

RIDGE = 0.01
"""λ as a share of the mean diagonal of G'."""

TOKENS_A_PRODUCT = 2048
"""Rows whose products are summed in float32 before they join the float64 sum."""


class PairedSums:
    """X'ᵀX' and X'ᵀX over tokens that the same input has in two models, both (d1, d1), float64."""

    def __init__(self, width: int, device: torch.device) -> None:
        """Zeros."""
        import torch

        self.gram = torch.zeros(width, width, dtype=torch.float64, device=device)
        self.cross = torch.zeros_like(self.gram)

    def add(self, found: Tensor, dense: Tensor) -> None:
        """Count rows in, (tokens, width) of the compressed model and of the dense one."""
        for x, y in zip(wide(found).split(TOKENS_A_PRODUCT), wide(dense).split(TOKENS_A_PRODUCT), strict=True):
            self.gram += x.mT @ x
            self.cross += x.mT @ y


def target_of(gram: Tensor, cross: Tensor, matrix: Tensor, share: float) -> Tensor:
    """T, (d1, d2) float64, from G' and X'ᵀX (d1, d1), W (d1, d2) and a; W itself where no token was read."""
    import torch

    ridge = ridge_of(gram)
    if not ridge.any():
        return matrix
    mixed = share * cross + (1 - share) * gram + ridge
    return torch.cholesky_solve(mixed @ matrix, torch.linalg.cholesky(gram + ridge))


def ridge_of(gram: Tensor) -> Tensor:
    """λI, (d1, d1)."""
    import torch

    return torch.eye(len(gram), dtype=gram.dtype, device=gram.device) * (RIDGE * gram.diagonal().mean())


def compensate(
    model: PreTrainedModel, dense: PreTrainedModel, plan: Plan, spectra: str | Path, windows: Tensor, batch: int = 8, share: float = 0.5
) -> None:
    """Refit a compressed model in place, block by block, towards T. `windows` are windows of token ids, (windows, tokens).

    The inputs of a block are those that its refitted predecessors produce; its own projections are as `convert` made them when its
    inputs are taken. A group of one layer gets B = T Dᵀ, with D the duals of its spectrum (for its rows C the best basis under the norm
    of the method), then the least-squares coefficients of T on that basis; a shared basis stays, and gets new coefficients; a projection
    that is stored dense becomes T. Experts read other tokens than in the dense model, so that for them a = 0. `dense` may be a skeleton
    (`drank.models.residency`). Raises NonFiniteError naming the layer.
    """
    family = family_of(model.config)
    groups = {(layer, group.shape.role): group for group in plan.groups for layer in group.shape.layers}
    stream, wanted = open_stream(model, windows, batch), open_stream(dense, windows, batch)
    for layer, block in enumerate(progress(blocks_of(model), "compensated refit, block")):
        with resident(dense, layer) as whole:
            leaving: list[Tensor] = []
            sums: dict[str, PairedSums] = {}
            for found, original in zip(stream.states, wanted.states, strict=True):
                with _inputs(block, family) as inputs, _inputs(whole, family) as dense_inputs:
                    apply_quietly(block, found, stream.arguments[layer])
                    leaving.append(apply_quietly(whole, original, wanted.arguments[layer]))
                for name, rows in inputs.items():
                    sums.setdefault(name, PairedSums(rows.shape[1], rows.device))
                    same = dense_inputs.get(name)
                    sums[name].add(rows, rows if same is None or len(same) != len(rows) or _routed(name, family) else same)
            if bad := [name for name, one in sums.items() if not (finite(one.gram) and finite(one.cross))]:
                raise NonFiniteError(
                    f"layer {layer}: the moments of the input of {', '.join(bad)} are not finite; run in float32 "
                    "(`compute: dtype: float32`), and check the checkpoint for damaged weights"
                )
            for projection in family.projections:
                if projection.reads in sums:
                    module, original_matrix = block.get_submodule(projection.path), matrix_of(whole.get_submodule(projection.path))
                    target = target_of(sums[projection.reads].gram, sums[projection.reads].cross, original_matrix.detach().double(), share)
                    _refit(module, groups[layer, projection.role], spectra, sums[projection.reads].gram, target)
            wanted.states = leaving
        stream.states = [apply_quietly(block, found, stream.arguments[layer]) for found in stream.states]


def apply_quietly(block: nn.Module, states: Tensor, arguments: Any) -> Tensor:
    """The hidden states that leave a block, without a gradient."""
    import torch

    with torch.no_grad():
        return apply(block, states, arguments)


def _routed(name: str, family: Family) -> bool:
    """Whether an input is that of an expert, which reads the tokens that are routed to it."""
    return any(projection.routed for projection in family.projections if projection.reads == name)


def _refit(module: nn.Module, group: Group, spectra: str | Path, gram: Tensor, target: Tensor) -> None:
    """Give one projection the factors, or where it is stored dense the matrix, that its target asks for."""
    import torch

    with torch.no_grad():
        if not isinstance(module, LowRankLinear):
            if group.dense:
                matrix_of(module).copy_(target)
            return
        if len(group.shape.layers) == 1:
            coefficients, duals = (
                part.to(target.device, torch.float64) for part in read_bases(spectra, {group.shape.name: group.rank})[group.shape.name]
            )
            lengths = coefficients.norm(dim=1)
            basis, coefficients = (target @ duals.mT) * lengths, coefficients / lengths[:, None]
            module.basis.weight.copy_(basis.mT)
        else:
            basis, coefficients = (part.weight.detach().double().mT for part in (module.basis, module.coefficients))
        fitted = refit_coefficients(basis, coefficients, gram + ridge_of(gram), target)
        module.coefficients.weight.copy_(fitted.mT)


@contextmanager
def _inputs(block: nn.Module, family: Family) -> Iterator[dict[str, Tensor]]:
    """What each shared input of a block is, (tokens, d1), by name, in the one forward pass that is made while the context lasts."""
    seen: dict[str, Tensor] = {}
    first: dict[str, Projection] = {projection.reads: projection for projection in reversed(family.projections)}

    def watch(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            seen[name] = args[0].detach().flatten(0, -2)

        return hook

    with removed([block.get_submodule(p.path).register_forward_pre_hook(watch(name)) for name, p in first.items()]):
        yield seen
