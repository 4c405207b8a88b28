"""The two sides of `A = L W R` for the groups of one model: what a weighting makes of the statistics of its calibration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from drank.calibration.gradients import read_gradients
from drank.calibration.moments import read_moments
from drank.models.groups import Shape
from drank.models.weights import Checkpoint
from drank.runtime.finite import NonFiniteError
from drank.spectra.decomposition import Left
from drank.spectra.weightings import MOMENT, TOKENS, WEIGHTINGS

if TYPE_CHECKING:
    from torch import Tensor


class Sides:
    """A weighting, its options and the directories of the statistics that it reads, for one model."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        weighting: str,
        options: Mapping[str, float],
        moments: str | Path | None = None,
        gradients: str | Path | None = None,
        device: str = "cpu",
    ) -> None:
        """Raises ValueError for options that the weighting does not have, and where it needs statistics and none are given."""
        self.weighting, self.moments, self.gradients, self.device = WEIGHTINGS[weighting], moments, gradients, device
        self.options = self.weighting.settings(options)
        if self.weighting.moments and moments is None:
            raise ValueError(f"weighting {weighting} is made of moments; give `moments` the directory that `calibrate` wrote")
        if self.weighting.gradients and gradients is None:
            raise ValueError(
                f"weighting {weighting} is made of gradients; give `gradients` the directory that drank.calibration.gradients wrote"
            )
        self._reads = {projection.role: projection.reads for projection in checkpoint.family.projections}
        self._last: tuple[tuple[str, tuple[int, ...]], Left] | None = None
        self._scales: tuple[tuple[str, tuple[int, ...]], Tensor] | None = None

    def key(self, shape: Shape) -> tuple[str, tuple[int, ...]]:
        """What groups with the same left factor have in common: the name and the layers of the statistic that it is made of."""
        return self._name(self.weighting.left_of or "", shape), shape.layers

    def of(self, shape: Shape) -> tuple[Left, list[Tensor] | None]:
        """The left factor and the blocks of the right one, lower triangular, None for the identity.

        A left factor is kept until one of another key is asked for. Where all gradients at a group's outputs are zero the left factor is
        zero too, and the right one the identity, as plain SVD has it. Raises NonFiniteError naming layers and role, ValueError where a
        block of `R Rᵀ` is not positive definite.
        """
        import torch

        right = self._right(shape)
        if right is not None and not any(block.any() for block in right):
            return Left(torch.zeros(shape.rows, dtype=torch.float64, device=self.device)), None
        if self._last is None or self._last[0] != self.key(shape):
            self._last = None  # the old one is freed before the new one is made
            self._last = (self.key(shape), Left(self._left(shape)))
        return self._last[1], None if right is None else [self._root(block, shape) for block in right]

    def scales(self, shape: Shape) -> Tensor | None:
        """The root mean squares of the inputs of a group, over its layers, (d1,); None for a weighting that is made of no moments."""
        if not self.weighting.moments:
            return None
        key = self._name(MOMENT, shape), shape.layers
        if self._scales is None or self._scales[0] != key:
            self._scales = key, self._root_mean_squares(shape)
        return self._scales[1]

    def _root_mean_squares(self, shape: Shape) -> Tensor:
        import torch

        moments = torch.stack([moment.diagonal() for moment in self._read(MOMENT, shape)]).mean(0)
        return (moments / torch.stack(self._read(TOKENS, shape)).mean().clamp(min=1)).sqrt()

    def _left(self, shape: Shape) -> Tensor | None:
        import torch

        if self.weighting.left_of is None:
            return None
        gram = self.weighting.left(self._read(self.weighting.left_of, shape), self.options)
        if gram is None or not self.weighting.per_token:
            return gram
        tokens = torch.stack(self._read(TOKENS, shape)).mean()
        return gram / tokens.clamp(min=1)  # an expert that no token reached has nothing but zeros

    def _right(self, shape: Shape) -> list[Tensor] | None:
        if self.weighting.right_of is None:
            return None
        return self.weighting.right(self._read(self.weighting.right_of, shape), self.options)

    def _root(self, block: Tensor, shape: Shape) -> Tensor:
        import torch

        lower, failed = torch.linalg.cholesky_ex(block)
        if failed:
            raise ValueError(
                f"{shape.name}: the second moment of the gradients at the output has no Cholesky factor, for some outputs never matter to "
                "the loss; give the weighting a larger `damping`"
            )
        return lower

    def _name(self, template: str, shape: Shape) -> str:
        return template.format(role=shape.role, reads=self._reads[shape.role])

    def _read(self, template: str, shape: Shape) -> list[Tensor]:
        """A statistic of each layer of a group."""
        name = self._name(template, shape)
        if "{role}" in template:
            found = [read_gradients(self.gradients or "", layer, name).to(self.device) for layer in shape.layers]
        else:
            found = [read_moments(self.moments or "", layer, name).to(self.device) for layer in shape.layers]
        if bad := [str(layer) for layer, values in zip(shape.layers, found, strict=True) if not values.isfinite().all()]:
            raise NonFiniteError(
                f"layer {', '.join(bad)}: the statistic {name}, which weighs {shape.role}, is not finite; calibrate again in float32 "
                "(`compute: dtype: float32`), and check the checkpoint for damaged weights"
            )
        return found
