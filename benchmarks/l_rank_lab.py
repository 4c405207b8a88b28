"""Models made and measured in one process and one folder: texts, statistics, spectra and records are made when first asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from torch import Tensor
from transformers import PreTrainedModel

from benchmarks.l_rank_rows import ROWS
from drank.allocation import allocate
from drank.allocation.plan import Plan
from drank.allocation.reading import read_evidence
from drank.calibration.gradients import collect
from drank.calibration.moments import calibrate
from drank.compression.compensation import compensate
from drank.compression.correction import correct
from drank.compression.factors import factors_of
from drank.compression.refit import refit
from drank.compression.relinearise import relinearise
from drank.corpora import load, read, write
from drank.corpora.windows import Tokens, read_tokens, tokenize, write_tokens
from drank.evaluation.perplexity import WindowLosses, window_losses
from drank.methods import Method
from drank.models.checkpoint import load_model, load_tokenizer
from drank.models.lowrank import convert
from drank.models.residency import open_skeleton
from drank.models.sources import fingerprint
from drank.models.weights import Checkpoint
from drank.spectra.slopes import slopes_of, write_slopes
from drank.spectra.spectrum import decompose_model
from drank.steps.files import read_json, replacing, write_json
from drank.steps.log import duration

Losses = dict[str, WindowLosses]
"""The losses of one model on the evaluated windows of every corpus."""


class Source(NamedTuple):
    """Where the text of a corpus comes from, as the configuration says it, and how many characters of each split are read."""

    place: Mapping[str, Any]
    characters: int | None = None


class Job(NamedTuple):
    """One number to measure: a row at a ratio, calibrated on so many windows of a corpus."""

    row: str
    ratio: float
    corpus: str
    windows: int


@dataclass(frozen=True)
class Settings:
    """What every number of a folder has in common: tokens in a window, windows evaluated of each corpus, seed of all draws, dtype."""

    length: int
    evaluated: int
    seed: int
    dtype: str


class Lab:
    """A model, its texts, and a folder that keeps what was made of them."""

    def __init__(self, source: Path, folder: Path, corpora: Mapping[str, Source], settings: Settings, batch: int, device: str) -> None:
        """Reads all texts. Raises ValueError where the folder holds numbers of another model, other texts or other settings."""
        self.source, self.folder, self.settings, self.batch, self.device = source, folder, settings, batch, device
        self.checkpoint = Checkpoint(source)
        self.texts = {name: self._tokens(name, place) for name, place in corpora.items()}
        hashes = {name: {split: text.ids_sha256 for split, text in splits.items()} for name, splits in self.texts.items()}
        places = {name: {"place": dict(place.place), "characters": place.characters} for name, place in corpora.items()}
        facts = {"model": fingerprint(source), "corpora": places, "texts": hashes, **asdict(settings)}
        if (path := folder / "settings.json").exists() and read_json(path) != facts:
            raise ValueError(
                f"{folder} holds measurements of another model, other texts or other settings (settings.json); give another --out"
            )
        write_json(path, facts)
        self._calibrations: dict[tuple[str, int], Calibration] = {}

    def _tokens(self, name: str, source: Source) -> dict[str, Tokens]:
        """The token ids of a corpus by split."""
        folder = self.folder / "tokens" / name
        if not folder.exists():
            say(f"reading {name}")
            with replacing(folder) as partial:
                write(partial / "text.parquet", source.place, read(source.place))
                tokenizer = load_tokenizer(self.source)
                for split in sorted({document.split for document in load(partial / "text.parquet")[0]} & {"train", "test"}):
                    text = tokenize(tokenizer, partial / "text.parquet", name, split, source.characters)
                    write_tokens(partial / f"{split}.safetensors", text)
                (partial / "text.parquet").unlink()
        return {path.stem: read_tokens(path) for path in sorted(folder.glob("*.safetensors"))}

    def evaluated(self, corpus: str) -> list[Tensor]:
        """The windows of a corpus on which models are measured: the first of its test text."""
        return self.texts[corpus]["test"].consecutive(self.settings.length, self.settings.evaluated)

    def trains(self, corpus: str) -> bool:
        """Whether a corpus has text of its own to calibrate on."""
        return "train" in self.texts[corpus]

    def calibration_text(self, corpus: str) -> Tokens:
        """What a calibration draws its windows from: the train text, or where there is none the test text after the evaluated windows."""
        if self.trains(corpus):
            return self.texts[corpus]["train"]
        test = self.texts[corpus]["test"]
        return replace(test, ids=test.ids[self.settings.evaluated * self.settings.length :])

    def calibration(self, corpus: str, windows: int) -> Calibration:
        """So many windows of a corpus, and what is measured on them."""
        return self._calibrations.setdefault((corpus, windows), Calibration(self, corpus, windows))

    def model(self) -> PreTrainedModel:
        """A fresh copy of the dense model."""
        return load_model(self.source, self.settings.dtype, self.device)

    def skeleton(self) -> PreTrainedModel:
        """The dense model, of which one block at a time is in memory."""
        return open_skeleton(self.source, self.settings.dtype, self.device)

    def losses(self, model: PreTrainedModel) -> Losses:
        """What a model loses on every corpus."""
        return {corpus: window_losses(model, self.evaluated(corpus), corpus, self.batch) for corpus in self.texts}

    @cached_property
    def dense(self) -> Losses:
        """What the dense model loses."""
        path = self.folder / "measured" / "dense.json"
        return self._read(made(path, lambda: write_losses(path, self.losses(self.model()))))

    def record(self, job: Job) -> Path:
        """Where the losses of a job are kept."""
        return self.folder / "measured" / f"{job.corpus}-{job.windows}" / job.row / f"{job.ratio:g}.json"

    def found(self, job: Job) -> Losses | None:
        """The losses of a job, None where it was not measured, or by a row that had other options."""
        path = self.record(job)
        return self._read(path) if path.exists() and read_json(path)["method"] == asdict(ROWS[job.row].method) else None

    def _read(self, path: Path) -> Losses:
        """The losses in a file, the corpora in the order of the texts."""
        found = read_json(path)["losses"]
        return {corpus: WindowLosses(**found[corpus]) for corpus in self.texts}

    def measure(self, jobs: Iterable[Job]) -> None:
        """Measure every job that has no record yet; those that differ in the number of corrections alone are stages of one model."""
        wanted = list(dict.fromkeys(jobs))
        chains: dict[tuple[Any, ...], list[Job]] = {}
        for job in wanted:
            if self.found(job) is None:
                chains.setdefault((replace(ROWS[job.row].method, title="", corrections=0), *job[1:]), []).append(job)
        left = sum(map(len, chains.values()))
        say(f"{len(wanted)} measurements, {len(wanted) - left} of them made before")
        for members in chains.values():
            name, ratio, corpus, windows = members[0]
            calibration, done = self.calibration(corpus, windows), 0
            started = time.monotonic()
            model = calibration.compressed(ROWS[name].method, ratio)
            for job in sorted(members, key=lambda one: ROWS[one.row].method.corrections):
                count = ROWS[job.row].method.corrections - done
                if count:
                    correct(model, self.skeleton(), calibration.windows, count, self.batch)
                    done += count
                losses, left = self.losses(model), left - 1
                write_losses(self.record(job), losses, ROWS[job.row].method)
                gaps = ", ".join(f"{on} {gap(losses, self.dense, on):+.4f}" for on in losses)
                say(f"{job.row} at {ratio:g}, {windows} windows of {corpus}: {gaps}; {duration(time.monotonic() - started)}, {left} to go")
                started = time.monotonic()


class Calibration:
    """So many windows of one corpus, with the moments, gradients, spectra and slopes that were measured on them."""

    def __init__(self, lab: Lab, corpus: str, windows: int) -> None:
        """Nothing is measured yet."""
        self.lab, self.count = lab, windows
        self.text = lab.calibration_text(corpus)
        self.folder = lab.folder / "statistics" / f"{corpus}-{windows}"

    @cached_property
    def windows(self) -> Tensor:
        """Token ids, (windows, tokens)."""
        return self.text.sample(self.lab.settings.length, self.count, self.lab.settings.seed)

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
                gradients=self.gradients(method.labels) if method.weighs_gradients else None,
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
                compensate(model, lab.skeleton(), plan, spectra, self.windows, lab.batch, method.compensation)
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


def made(path: Path, make: Callable[[], Any]) -> Path:
    """The path, after `make` has written it where it was absent."""
    if not path.exists():
        make()
    return path


def gap(losses: Losses, dense: Losses, corpus: str) -> float:
    """How far a model lies above the dense one on a corpus, in nats per token."""
    found, base = losses[corpus], dense[corpus]
    return sum(found.loss) / sum(found.tokens) - sum(base.loss) / sum(base.tokens)


def write_losses(path: Path, losses: Losses, method: Method | None = None) -> None:
    """Write the losses of one model, and the method that made it."""
    write_json(path, {"losses": {name: asdict(found) for name, found in losses.items()}, "method": method and asdict(method)})


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
