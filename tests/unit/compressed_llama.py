"""A small random Llama in float64 and its files, compressed under spectra weighted on both sides: for tests only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from drank.allocation.plan import Plan
from drank.calibration.gradients import collect
from drank.calibration.moments import calibrate
from drank.compression.factors import factors_of
from drank.models.checkpoint import load_model
from drank.models.groups import Group
from drank.models.lowrank import convert
from drank.models.weights import Checkpoint
from drank.spectra.spectrum import decompose_model
from tests.unit.interrupted import small_llama

SIDE = 8
"""Features of the hidden states, and the largest rank of every projection."""


@dataclass(frozen=True)
class Toy:
    """The directory of a dense model, its spectra, and the windows that they were measured on."""

    directory: Path
    spectra: Path
    windows: torch.Tensor
    group: int

    @property
    def checkpoint(self) -> Checkpoint:
        """The dense model's files."""
        return Checkpoint(self.directory)

    def dense(self) -> PreTrainedModel:
        """The model before it is compressed."""
        return load_model(self.directory)

    def plan(self, rank: int, dense: Collection[str] = ()) -> Plan:
        """The same rank for all groups, and the names of those that are stored dense."""
        shapes = self.checkpoint.shapes(self.group)
        return Plan("m", "x", 0.3, {}, tuple(Group(shape, 1.0, rank, dense=shape.name in dense) for shape in shapes))

    def compressed(self, plan: Plan) -> PreTrainedModel:
        """The model with the factors of a plan, as the spectra hold them."""
        model = self.dense()
        convert(model, plan.groups, factors_of(self.checkpoint, plan, self.spectra))
        return model


def measured(folder: Path, group: int = 1, weighting: str = "kronecker-fisher", dtype: torch.dtype = torch.float64) -> Toy:
    """The files of a model, in a folder."""
    small_llama(dtype, hidden_size=SIDE).save_pretrained(folder / "model")
    windows = torch.randint(0, 50, (12, 10), generator=torch.Generator().manual_seed(1))
    toy = Toy(folder / "model", folder / "spectra", windows, group)
    calibrate(toy.dense(), windows, folder / "moments", {})
    collect(toy.dense(), windows, folder / "gradients", {}, labels="sampled")
    statistics = {"moments": folder / "moments", "gradients": folder / "gradients"}
    decompose_model(toy.checkpoint, toy.spectra, **statistics, weighting=weighting, group=group, facts={})
    return toy
