"""Edits of a finished run, and of the project that it was made with, each taken back when it has been looked at."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from tests.workflow.runs import Run

Edit = Callable[[Run], object]


@contextmanager
def replaced(path: Path, content: bytes | None, times: tuple[float, float] | None = None) -> Iterator[None]:
    """Another content of a file, or none, and other times; given back as it was."""
    kept, status = path.read_bytes(), path.stat()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    if times:
        os.utime(path, times)
    try:
        yield
    finally:
        path.write_bytes(kept)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@contextmanager
def gone(path: Path) -> Iterator[None]:
    """A result that somebody deleted."""
    aside = path.with_name(f"aside-{path.name}")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


def code(file: str, old: str, new: str) -> Edit:
    """An edit of a file of the project."""

    def edit(run: Run) -> object:
        path = run.project / file
        text = path.read_text()
        assert old in text, f"{file} no longer contains {old!r}"
        return replaced(path, text.replace(old, new, 1).encode())

    return edit


def settings(**changes: object) -> Edit:
    """Other values in the configuration."""

    @contextmanager
    def edit(run: Run) -> Iterator[None]:
        text = (run.folder / "config.yaml").read_text()
        before = run.config
        run.change(**{key: {**before.get(key, {}), **value} if isinstance(value, dict) else value for key, value in changes.items()})
        try:
            yield
        finally:
            (run.folder / "config.yaml").write_text(text)

    return edit


def touched(*places: str, seconds: float = 0) -> Edit:
    """Files with other times, of the project or the run."""

    def edit(run: Run) -> object:
        files = [path for place in places for base in (run.project, run.folder) for path in base.glob(place) if path.is_file()]
        assert files
        stack, when = ExitStack(), time.time() + seconds
        for path in files:
            stack.enter_context(replaced(path, path.read_bytes(), (when, when)))
        return stack

    return edit


def result(place: str, change: Callable[[bytes], bytes] | None = None) -> Edit:
    """A result that is gone, or another than its job left."""

    def edit(run: Run) -> object:
        path = run.folder / "results" / place
        return gone(path) if change is None else replaced(path, change(path.read_bytes()))

    return edit


@contextmanager
def moved_model(run: Run) -> Iterator[None]:
    """The model in another folder."""
    text = (run.folder / "config.yaml").read_text()
    shutil.copytree(run.folder / "model", run.folder / "elsewhere/tiny")
    (run.folder / "model").rename(run.folder / "away")
    run.change(models={"tiny": {"path": "elsewhere/tiny"}})
    try:
        yield
    finally:
        (run.folder / "away").rename(run.folder / "model")
        shutil.rmtree(run.folder / "elsewhere")
        (run.folder / "config.yaml").write_text(text)


@contextmanager
def moved_script(run: Run) -> Iterator[None]:
    """A script in a folder of its own."""
    scripts, rules = run.project / "workflow/scripts", run.project / "workflow/rules/calibrate.smk"
    with replaced(rules, rules.read_bytes().replace(b"calibrate.py", b"first/calibrate.py")):
        (scripts / "first").mkdir()
        (scripts / "calibrate.py").rename(scripts / "first/calibrate.py")
        try:
            yield
        finally:
            (scripts / "first/calibrate.py").rename(scripts / "calibrate.py")
            (scripts / "first").rmdir()


@contextmanager
def another_checkout(run: Run) -> Iterator[None]:
    """The same commit in another folder, with the times of now."""
    project = run.project
    run.project = project.with_name("another")
    shutil.copytree(project, run.project, copy_function=shutil.copyfile)
    try:
        yield
    finally:
        shutil.rmtree(run.project)
        run.project = project


@contextmanager
def copied_results(run: Run) -> Iterator[None]:
    """Results without their times, in whatever order they were copied, and without what Snakemake noted."""
    for place in ("results", ".snakemake"):
        (run.folder / place).rename(run.folder / f"{place}-kept")
    shutil.copytree(run.folder / "results-kept", run.folder / "results", copy_function=shutil.copyfile)
    try:
        yield
    finally:
        for place in ("results", ".snakemake"):
            shutil.rmtree(run.folder / place, ignore_errors=True)
            (run.folder / f"{place}-kept").rename(run.folder / place)


@contextmanager
def reordered(run: Run) -> Iterator[None]:
    """The keys of the configuration in another order, with a section of which each value is a default."""
    text, config = (run.folder / "config.yaml").read_text(), run.config
    run.change(compute={"memory_mb": 9000, "minutes": 90})
    order = ["compute", *reversed(config)]
    everything = run.config
    turned = {key: dict(reversed(everything[key].items())) if key in ("calibration", "perplexity") else everything[key] for key in order}
    (run.folder / "config.yaml").write_text(yaml.safe_dump(turned, sort_keys=False))
    try:
        yield
    finally:
        (run.folder / "config.yaml").write_text(text)


def other_weights(run: Run) -> object:
    """Other weights of the same size, from an older file."""
    path = run.folder / "model/model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    return replaced(path, bytes(data), (1e9, 1e9))


def older_text(run: Run) -> object:
    """An older text in place of another."""
    path = run.folder / "test.txt"
    return replaced(path, path.read_bytes().replace(b"matrix", b"vector"), (1e9, 1e9))
