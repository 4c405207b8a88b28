"""Time all methods of the table over four ratios up to the saved models, beside D-Rank at one: `python -m benchmarks.sweep [MODEL]`.

Runs in one process, so that what is compared is work and not the start of Python, on an embedded model (default docs-mha) and its own
text. Prints the CPU seconds of every step, and what the sweep costs as a multiple of D-Rank at one ratio; backward passes, refits and
corrections, which run the model, apart. The searches that measure perplexity are left out: ASVD's with its method, and Swift-SVD takes
a mix of 0.5 as given.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from drank.allocation.allocate import allocate
from drank.allocation.evidence import Evidence
from drank.calibration.gradients import collect
from drank.calibration.moments import calibrate, read_similarities
from drank.compression.correction import correct, leaving_states
from drank.compression.factors import factors_of
from drank.compression.refit import refit
from drank.compression.refits import TOLD
from drank.corpora import first_documents, read
from drank.methods import METHODS, Method
from drank.models.checkpoint import load_model, load_tokenizer, save
from drank.models.conversion import convert, store
from drank.models.weights import Checkpoint
from drank.spectra.slopes import slopes_of
from drank.spectra.spectrum import decompose_model, read_energies, read_scales, read_summary
from drank.testbed import MODELS

RATIOS = (0.2, 0.4, 0.6, 0.8)
WINDOWS, LENGTH = 128, 256


def embedded_windows(source: Path) -> Tensor:
    """The first windows of the embedded text as ids of a model's tokenizer, (WINDOWS, LENGTH)."""
    import torch

    text = "\n\n\n".join(document.text for document in first_documents(read({"embedded": "python-docs"}), 400_000))
    ids = load_tokenizer(source)(text)["input_ids"]
    return torch.tensor(ids[: WINDOWS * LENGTH]).view(WINDOWS, LENGTH)


@dataclass
class Sweep:
    """One run in an empty folder, with the CPU seconds of its steps; nothing is done before it is needed, and nothing twice."""

    source: Path
    folder: Path
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the CPU time of a block to a step."""
        started = time.process_time()
        yield
        self.seconds[step] += time.process_time() - started

    @cached_property
    def windows(self) -> Tensor:
        """The first windows of the embedded text."""
        return embedded_windows(self.source)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The weights."""
        return Checkpoint(self.source)

    def model(self) -> PreTrainedModel:
        """A fresh copy of the dense model; loading is part of the step that asks."""
        return load_model(self.source, "float32")  # stored in half precision, in which a CPU is slow

    @cached_property
    def moments(self) -> Path:
        """The calibration."""
        with self.timed("calibrate"):
            calibrate(self.model(), self.windows, self.folder / "moments", {})
        return self.folder / "moments"

    def gradients(self, labels: str) -> Path:
        """The backward pass with these labels."""
        directory = self.folder / f"gradients-{labels}"
        if not directory.exists():
            with self.timed("gradients"):
                collect(self.model(), self.windows, directory, {}, labels=labels)
        return directory

    def spectra(self, method: Method) -> Path:
        """The spectra that a method reads."""
        directory = self.folder / method.spectrum
        if not directory.exists():
            sources: dict[str, Any] = {
                "moments": self.moments,
                "gradients": self.gradients(method.weighing_pass) if method.weighs_gradients else None,
            }
            with self.timed("spectra"):
                options = method.weighting_options
                decompose_model(
                    self.checkpoint, directory, **sources, weighting=method.weighting, options=options, group=method.group, facts={}
                )
        return directory

    def evidence(self, method: Method) -> Evidence:
        """What a method's allocator reads."""
        spectra = self.spectra(method)
        found = Evidence(tuple(read_summary(spectra)[0]), read_energies(spectra))
        if "slopes" in method.needs:
            gradients = self.gradients(method.labels)
            with self.timed("slopes"):
                found = replace(found, slopes=slopes_of(self.checkpoint, spectra, gradients))
        if "similarities" in method.needs:
            found = replace(found, similarities=read_similarities(self.moments))
        return found

    def compress(self, label: str, ratios: tuple[float, ...]) -> None:
        """All models of one method, saved."""
        method = replace(METHODS[label], mix=0.5)
        spectra, evidence, settings = self.spectra(method), self.evidence(method), method.settings()
        for ratio in ratios if method.budgeted else (0.0,):
            with self.timed("allocate"):
                plan = allocate(evidence, ratio, settings, model="benchmark", method=label)
            with self.timed("compress"):
                model = self.model()
                convert(model, plan.groups, factors_of(self.checkpoint, plan, spectra))
            if method.refits(ratio):
                with self.timed("refit"):
                    if method.refit in TOLD:
                        TOLD[method.refit](model, self.model(), plan, spectra, self.windows, share=method.compensation)
                    else:
                        refit(model, self.checkpoint, self.windows, order=method.refit)
            if method.corrections:
                with self.timed("correct"):
                    correct(model, leaving_states(self.model(), self.windows), self.windows, method.corrections)
            with self.timed("compress"):
                store(model, plan.groups, read_scales(spectra))
                save(model, None, plan.groups, self.folder / "model")


def run(source: Path, labels: list[str], ratios: tuple[float, ...]) -> dict[str, float]:
    """CPU seconds by step of the methods named, from nothing."""
    folder = Path(tempfile.mkdtemp(prefix="drank-sweep-"))
    try:
        sweep = Sweep(source, folder)
        sweep.windows.sum()
        sweep.model()  # the first load pays for imports
        for label in labels:
            sweep.compress(label, ratios)
        return dict(sweep.seconds)
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Run D-Rank at one ratio, then everything, and print both."""
    logging.disable()
    source = MODELS / (sys.argv[1] if len(sys.argv) > 1 else "docs-mha")
    labels = [label for label, method in METHODS.items() if method.compresses and "sensitivity" not in method.needs]
    one = run(source, ["d-rank"], RATIOS[:1])
    everything = run(source, labels, RATIOS)
    lines = [f"{'step':12} {'D-Rank, one ratio':>18} {f'{len(labels)} methods, {len(RATIOS)} ratios':>26}"]
    lines += [f"{step:12} {one.get(step, 0):16.1f} s {seconds:24.1f} s" for step, seconds in everything.items()]
    base, whole = sum(one.values()), sum(everything.values())
    lines.append(f"together: {whole:.1f} s, {whole / base:.2f} × D-Rank at one ratio ({base:.1f} s)")
    rest = whole - sum(everything[step] for step in ("gradients", "refit", "correct"))
    lines.append(f"and without backward passes, refits and corrections: {rest:.1f} s, {rest / base:.2f} ×")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
