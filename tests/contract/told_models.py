"""Models of every family with spectra weighted on both sides, to refit and correct as the dense model tells: for tests only."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from transformers import PreTrainedModel

from drank.allocation.allocate import allocate
from drank.allocation.evidence import Evidence
from drank.allocation.plan import Plan
from drank.calibration.gradients import collect
from drank.calibration.moments import calibrate
from drank.compression.correction import correct, leaving_states
from drank.compression.factors import factors_of
from drank.compression.refits import TOLD
from drank.methods import METHODS
from drank.models.checkpoint import load_model, save
from drank.models.conversion import convert
from drank.models.groups import Group
from drank.models.residency import open_skeleton
from drank.models.weights import Checkpoint
from drank.spectra.spectrum import decompose_model, read_energies, read_summary

RATIO = 0.3
METHOD = METHODS["l-rank"]


@dataclass(frozen=True)
class Measured:
    """A dense model on disk, its spectra, and the windows of both."""

    directory: Path
    spectra: Path
    windows: torch.Tensor

    def plan(self) -> Plan:
        """L-Rank's at the ratio."""
        evidence = Evidence(tuple(read_summary(self.spectra)[0]), read_energies(self.spectra))
        return allocate(evidence, RATIO, METHOD.settings(), model="tiny", method=METHOD.title)

    def halved(self, dense: Collection[str] = (), group: int = 1) -> Plan:
        """Every projection at half the full rank, the kinds in `dense` whole."""
        shapes = Checkpoint(self.directory).shapes(group)
        return Plan("tiny", "x", 0.0, {}, tuple(Group(shape, 1.0, shape.max_rank // 2, shape.kind in dense) for shape in shapes))

    def convert(self, plan: Plan) -> PreTrainedModel:
        """The model with the factors of a plan, neither refitted nor corrected."""
        model, checkpoint = load_model(self.directory), Checkpoint(self.directory)
        convert(model, plan.groups, factors_of(checkpoint, plan, self.spectra))
        return model

    def refit(self, model: PreTrainedModel, plan: Plan, kind: str = METHOD.refit, share: float = METHOD.compensation) -> None:
        """Refit it as the dense model tells, whose blocks are read from disk one by one."""
        TOLD[kind](model, open_skeleton(self.directory), plan, self.spectra, self.windows, 5, share)

    def correct(self, model: PreTrainedModel) -> list[float]:
        """One pass, which random text has to be told by what it is measured on."""
        windows = torch.cat([self.windows, self.windows[:4]])
        return correct(model, leaving_states(open_skeleton(self.directory), windows, 5), windows, 1, 5)


def measure(directory: Path, windows: torch.Tensor, group: int = 1) -> Measured:
    """What is measured of the dense model in a directory, beside it."""
    folder = directory.parent
    calibrate(load_model(directory), windows, folder / "moments", {})
    collect(load_model(directory), windows, folder / "gradients", {}, labels=METHOD.labels)
    statistics = {"moments": folder / "moments", "gradients": folder / "gradients"}
    options = {"weighting": METHOD.weighting, "options": METHOD.weighting_options, "group": group}
    decompose_model(Checkpoint(directory), folder / "spectra", **statistics, **options, facts={})
    return Measured(directory, folder / "spectra", windows)


def measured(tiny_model, tmp_path_factory) -> Callable[..., Measured]:
    """What is measured of a family, once for all tests."""

    @cache
    def build(family: str, group: int = 1) -> Measured:
        directory = tmp_path_factory.mktemp(family) / "dense"
        save(tiny_model(family, tie_word_embeddings=True), None, None, directory)
        return measure(directory, torch.randint(0, 250, (12, 20), generator=torch.Generator().manual_seed(11)), group)

    return build


def unevenly_routed(tiny_model, directory: Path) -> None:
    """Save a mixture of experts whose router prefers the same two of four always."""
    model = tiny_model("mixtral")
    for name, parameter in model.named_parameters():
        if name.endswith("mlp.gate.weight"):
            parameter.data.zero_()
    save(model, None, None, directory)
