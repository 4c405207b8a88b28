"""What the SVD sees: each weighting makes the factors of `A = L W R` from statistics of the inputs and of the gradients.

A weighting gives `LᵀL` and `R Rᵀ`, for no more is needed: which square roots are taken changes neither the singular values nor the
factors. For a group of n layers the left factor is one, shared as the basis is, and the right one has a block for each layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drank.calibration.passes import INPUT_SIDE, LIKELIEST, OUTPUT_SIDE, WINDOWS

if TYPE_CHECKING:
    from torch import Tensor

Options = Mapping[str, float]

MOMENT, ABSOLUTE, TOKENS = "{reads}", "{reads}.absolute", "{reads}.tokens"
"""Names of statistics in the moments of a layer: XᵀX and mean |x| of the input that a projection reads, and the number of its tokens."""

FISHER_ROWS, OUTPUTS = "{role}.rows", "{role}.outputs"
"""Names of statistics in the gradients of a layer: squared gradients by row of W, and the second moment at the output."""

FITTED = f"{{role}}.{INPUT_SIDE}", f"{{role}}.{OUTPUT_SIDE}"
"""The factors that fit the gradients of single windows."""

RIDGE, RIDGES = 1e-6, 0.1
"""What is added to the diagonal of a fitted factor, as a share of it, and the share above which it is doubled no more."""

NEGATIVE, SMALLEST = -1e-7, 1e-12
"""Eigenvalues of a fitted factor, as shares of the largest one: none may be below the first, and none stays below the second."""


@dataclass(frozen=True)
class Weighting:
    """One way to weigh W. `left_of` and `right_of` name the statistics that its two functions take, a tensor for each layer of a group.

    `left` gives LᵀL, (d1, d1) or its diagonal (d1,), and `right` a block (d2, d2) of R Rᵀ for each layer; None stands for the identity.
    `options` are the names and defaults of what it can be told. With `per_token` LᵀL is divided by the number of tokens behind it.
    `own_pass` names the backward pass that it takes whatever labels a method chooses.
    """

    left_of: str | None = None
    left: Callable[[list[Tensor], Options], Tensor | None] = lambda statistics, options: None
    right_of: str | None = None
    right: Callable[[list[Tensor], Options], list[Tensor] | None] = lambda statistics, options: None
    options: Options = field(default_factory=dict)
    per_token: bool = False
    own_pass: str | None = None

    @property
    def gradients(self) -> bool:
        """Whether it needs the gradients of the loss."""
        return bool({FISHER_ROWS, OUTPUTS, *FITTED} & {self.left_of, self.right_of})

    @property
    def reads_outputs(self) -> bool:
        """Whether it needs the second moments of the gradients at the outputs."""
        return OUTPUTS in (self.left_of, self.right_of)

    @property
    def moments(self) -> bool:
        """Whether it needs the moments of the inputs."""
        return self.left_of in (MOMENT, ABSOLUTE)

    def backward_pass(self, labels: str) -> str:
        """The name of the backward pass that it takes of a method with these labels."""
        return self.own_pass or labels

    def settings(self, given: Options) -> dict[str, float]:
        """The options in full, defaults for those that are not given; raises ValueError naming those it does not have."""
        if unknown := sorted(given.keys() - self.options.keys()):
            raise ValueError(f"a weighting has no option {', '.join(unknown)}; it has {', '.join(self.options) or 'none'}")
        return {**self.options, **given}


def averaged(statistics: list[Tensor], _options: Options) -> Tensor:
    """The mean over the layers of a group.

    The papers take the sum, which gives the same factors and effective ranks; with the mean, Σ_{i > k} λ_i is what the layers of a group
    lose together, whatever their number, so that groups of different sizes and projections that stay alone can be compared.
    """
    import torch

    return torch.stack(statistics).mean(0)


def scaled(statistics: list[Tensor], options: Options) -> Tensor:
    """diag((mean |x|)^2α), the mean over layers of that over tokens: ASVD (arXiv:2312.05821) weighs W by diag((mean |x|)^α)."""
    import torch

    return torch.stack(statistics).mean(0) ** (2 * options["alpha"])


def damped_mean(statistics: list[Tensor], options: Options) -> Tensor:
    """The mean over the layers, with `damping` × its mean diagonal on the diagonal."""
    total = averaged(statistics, options)
    total.diagonal().add_(options["damping"] * total.diagonal().mean())
    return total


def damped(statistics: list[Tensor], options: Options) -> list[Tensor]:
    """The moment of each layer, with `damping` × its mean diagonal on the diagonal.

    A layer whose gradients are all zero, beside layers where they are not, takes what the mean over the group adds.
    """
    levels = [float(block.diagonal().mean()) for block in statistics]
    blocks = [block.clone() for block in statistics]
    for block, level in zip(blocks, levels, strict=True):
        block.diagonal().add_(options["damping"] * (level or sum(levels) / len(levels)))
    return blocks


def levelled(statistics: list[Tensor], _options: Options) -> list[Tensor]:
    """s · I for each layer, s the mean over layers and outputs of what stands on the diagonal: one number weighs the whole group."""
    import torch

    level = torch.stack([block.diagonal() for block in statistics]).mean()
    return [level * torch.eye(len(block), dtype=block.dtype, device=block.device) for block in statistics]


def fitted(statistics: list[Tensor], options: Options) -> list[Tensor]:
    """Each factor with a ridge, a share of its own diagonal, and its eigenvalues held above zero.

    As GFWSVD's code has it (sayankotor/FisherKronecker, gfwsvd/), but for the thresholds, which are absolute there: the size of a factor
    hangs on the length of windows, and a model must not be weighed otherwise for that. A factor of zeros becomes the smallest that those
    beside it could have, or stays where all are zeros.
    """
    import torch

    made = [_positive(one) if one.any() else one for one in statistics]
    level = SMALLEST * max(float(one.diagonal().mean()) for one in made)
    return [one if one.any() else level * torch.eye(len(one), dtype=one.dtype, device=one.device) for one in made]


def fitted_mean(statistics: list[Tensor], options: Options) -> Tensor:
    """The mean over the layers of a group, likewise."""
    return fitted([averaged(statistics, options)], options)[0]


def _positive(factor: Tensor) -> Tensor:
    import torch

    ridge = RIDGE
    while True:
        values, vectors = torch.linalg.eigh(factor + ridge * factor.diagonal().diag())
        if values[0] > NEGATIVE * values[-1] or ridge > RIDGES:
            return (vectors * values.clamp(min=float(SMALLEST * values[-1]))) @ vectors.mT
        ridge *= 2


WEIGHTINGS: dict[str, Weighting] = {
    "identity": Weighting(),
    "fisher-rows": Weighting(FISHER_ROWS, averaged),
    "absolute-mean": Weighting(ABSOLUTE, scaled, options={"alpha": 0.5}),
    "whitening": Weighting(MOMENT, averaged),
    "kronecker-fisher": Weighting(MOMENT, damped_mean, OUTPUTS, damped, options={"damping": 0.01}, per_token=True),
    "fitted-fisher": Weighting(FITTED[0], fitted_mean, FITTED[1], fitted, own_pass=WINDOWS),
    "likeliest-fisher": Weighting(MOMENT, damped_mean, OUTPUTS, damped, {"damping": 0.01}, per_token=True, own_pass=LIKELIEST),
    "scalar-fisher": Weighting(MOMENT, averaged, OUTPUTS, levelled, per_token=True),
}
"""The weightings by name. identity: plain SVD. fisher-rows: FWSVD (arXiv:2207.00112), L = diag of the roots of the summed squared
gradients of each row. absolute-mean: ASVD (arXiv:2312.05821). whitening: LᵀL from XᵀX, SVD-LLM (arXiv:2403.07378) for one layer, Basis
Sharing (arXiv:2410.03765) and D-Rank (arXiv:2509.25622) for several. kronecker-fisher: L-Rank's (docs/l-rank.md, K-FAC), the Kronecker
factors of the Fisher matrix as the mean of xxᵀ over the tokens that a projection reads and that of ggᵀ over all tokens, g the gradient of
the loss at the output, so that Σ_{i > k} λ_i is, but for the damping, twice the second-order rise of the loss per token. fitted-fisher:
GFWSVD (arXiv:2505.17974), the factors nearest to the Fisher matrix of single windows. likeliest-fisher: IO-SVD (arXiv:2605.15626), as
kronecker-fisher with the curvature of the divergence over the likeliest tokens at the output. scalar-fisher: as kronecker-fisher with the
mean of its diagonal in place of the moment of g, so that the factors are those of whitening and the energies still losses."""
