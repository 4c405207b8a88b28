"""Statistics and spectra on the windows of one calibration, and the models made of them; each is made when first asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor
from transformers import PreTrainedModel

from benchmarks.l_rank_materials import Materials, made
from drank.allocation.allocate import allocate
from drank.allocation.plan import Plan
from drank.allocation.read_evidence import read_evidence
from drank.calibration.gradients import collect
from drank.calibration.moments import calibrate
from drank.compression.factors import factors_of
from drank.compression.refit import refit
from drank.compression.refits import TOLD
from drank.compression.relinearise import relinearise
from drank.methods import Method
from drank.models.conversion import convert
from drank.spectra.slopes import slopes_of, write_slopes
from drank.spectra.spectrum import decompose_model


class Calibration:
    """So many windows of one corpus, with the moments, gradients, spectra and slopes that were measured on them."""

    def __init__(self, lab: Materials, corpus: str, windows: int) -> None:
        """Nothing is measured yet."""
        self.lab, self.count = lab, windows
        self.text = lab.calibration_text(corpus)
        self.folder = lab.folder / "statistics" / f"{corpus}-{windows}"

    @cached_property
    def windows(self) -> Tensor:
        """Token ids, (windows, tokens)."""
        return self.text.sample(self.lab.settings.length, self.count, self.lab.settings.seed, self.lab.bos)

    def moments(self) -> Path:
        """The input moments of the dense model."""
        path, lab = self.folder / "moments", self.lab
        return made(path, lambda: calibrate(lab.skeleton(), self.windows, path, {}, lab.batch))

    def gradients(self, labels: str) -> Path:
        """What one backward pass through the dense model says."""
        path, lab = self.folder / f"gradients-{labels}", self.lab
        return made(path, lambda: collect(lab.skeleton(), self.windows, path, {}, lab.batch, labels=labels, seed=lab.settings.seed))

    def spectra(self, method: Method) -> Path:
        """The spectra of the dense model that a method reads."""
        path = self.folder / method.spectrum
        return made(
            path,
            lambda: decompose_model(
                self.lab.checkpoint,
                path,
                moments=self.moments(),
                gradients=self.gradients(method.weighing_pass) if method.weighs_gradients else None,
                weighting=method.weighting,
                options=method.weighting_options,
                group=method.group,
                facts={},
                device=self.lab.device,
            ),
        )

    def slopes(self, method: Method) -> Path:
        """The first-order changes of the loss under the spectra of a method."""
        path = self.folder / f"{method.spectrum}.slopes.safetensors"

        def make() -> None:
            write_slopes(path, slopes_of(self.lab.checkpoint, self.spectra(method), self.gradients(method.labels), self.lab.device))

        return made(path, make)

    def plan(self, method: Method, ratio: float, spectra: Path) -> Plan:
        """The ranks that a method gives at a ratio under these spectra."""
        evidence = read_evidence(spectra, slopes=self.slopes(method) if "slopes" in method.needs else None)
        return allocate(evidence, ratio, method.settings(), model=self.lab.source.name, method=method.title)

    def compressed(self, method: Method, ratio: float) -> PreTrainedModel:
        """The model that a method makes at a ratio, refitted where the method says so, before any correction."""
        lab = self.lab
        with TemporaryDirectory(prefix=".steps-", dir=lab.folder) as work:
            spectra = self._relinearised(method, ratio, Path(work) / "spectra") if method.relinearises else self.spectra(method)
            plan, model = self.plan(method, ratio, spectra), lab.model()
            convert(model, plan.groups, factors_of(lab.checkpoint, plan, spectra))
            if method.compensates(ratio):
                TOLD[method.refit](model, lab.skeleton(), plan, spectra, self.windows, lab.batch, method.compensation)
            elif method.refits(ratio):
                refit(model, lab.checkpoint, self.windows, lab.batch, method.refit)
        return model

    def _relinearised(self, method: Method, ratio: float, output: Path) -> Path:
        lab = self.lab
        relinearise(
            lab.source,
            output,
            spectra=self.spectra(method),
            method=method.title,
            settings=method.settings(),
            weighting=method.weighting,
            options=method.weighting_options,
            group=method.group,
            ratio=ratio,
            steps=method.steps,
            labels=method.labels,
            windows=self.windows,
            moments_windows=self.windows,
            facts={},
            batch=lab.batch,
            seed=lab.settings.seed,
            dtype=lab.settings.dtype,
            device=lab.device,
        )
        return output
