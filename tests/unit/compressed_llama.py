"""A small random Llama in float64, compressed under spectra weighted on both sides, its files, and what is seen of it: for tests only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from drank.allocation.plan import Plan
from drank.calibration.gradients import collect
from drank.calibration.moments import calibrate
from drank.compression.factors import factors_of
from drank.models.checkpoint import load_model
from drank.models.conversion import convert
from drank.models.families import projections_of
from drank.models.groups import Group
from drank.models.lowrank import LowRankLinear, matrix_of
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


def draw(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns))


def inputs_of(model, windows: torch.Tensor) -> dict[tuple[int, str], torch.Tensor]:
    """X of every projection in one pass of the whole model, (tokens, d1)."""
    return inputs_at(model, windows, {(layer, projection.role): module for layer, projection, module in projections_of(model)})


def inputs_at(model, windows: torch.Tensor, modules: dict) -> dict:
    """What each of these modules reads in one pass of the whole model, (tokens, d1), by the same keys."""
    found, handles = {}, []
    for key, module in modules.items():

        def hook(_module, args, key=key):
            found[key] = args[0].detach().flatten(0, -2)

        handles.append(module.register_forward_pre_hook(hook))
    with torch.no_grad():
        model(windows)
    for handle in handles:
        handle.remove()
    return found


def product_of(module: torch.nn.Module) -> torch.Tensor:
    """The matrix of a projection, whether stored dense or as factors."""
    if isinstance(module, LowRankLinear):
        return module.basis.weight.detach().mT @ module.coefficients.weight.detach().mT
    return matrix_of(module).detach()


def kl(model, dense, windows: torch.Tensor) -> torch.Tensor:
    """Summed over all predicted tokens."""
    wanted, found = (torch.distributions.Categorical(logits=one(windows).logits[:, :-1]) for one in (dense, model))
    return torch.distributions.kl_divergence(wanted, found).sum()
