"""For each edit the jobs that a finished run then has: a result is current by what it was made of, not by the times and places of files."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.workflow.runs import Run

REPORTING = dict.fromkeys(("cards", "summary", "tables", "figures", "report"), 1)
MEASURING = {"evaluate": 3, "throughput": 2, **REPORTING}
MAKING = {"allocate": 2, "compress": 2, "evaluate": 2, "throughput": 1, **REPORTING}
FROM_CALIBRATION = {"calibrate": 1, "spectrum": 2, **MAKING}
FROM_CORPUS = {"corpus": 1, "tokenize": 2, "calibrate": 1, "spectrum": 2, "allocate": 2, "compress": 2, **MEASURING}
FROM_MODEL = {"source": 1, **{rule: count for rule, count in FROM_CORPUS.items() if rule != "corpus"}}
TOP = "from __future__ import annotations\n"

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
    import yaml

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


SAME = {
    "nothing": lambda run: ExitStack(),
    "scripts touched": touched("workflow/scripts/*.py"),
    "everything touched": touched("drank/**/*.py", "workflow/**/*", "Snakefile", "model/*", "*.txt", "task.*", "config.yaml"),
    "everything older": touched("drank/**/*.py", "workflow/**/*", "model/*", "*.txt", seconds=-1e8),
    "results touched": touched("results/tokens/**/*", "results/plans/**/*", "results/models/**/*.safetensors"),
    "a script moved": moved_script,
    "the docstring of a script": code("workflow/scripts/calibrate.py", '"""', '"""Well: '),
    "a comment": code("drank/spectra/spectrum.py", TOP, f"{TOP}\n# a comment\n"),
    "an unused function in a file that everything imports": code("drank/runtime/files.py", TOP, f"{TOP}\ndef unused():\n    ...\n"),
    "another family": code("drank/models/families/entries.py", '"gpt2"', '"gpt-two"'),
    "another path of the checkout": another_checkout,
    "the model moved": moved_model,
    "results copied": copied_results,
    "keys in another order, another memory and time": reordered,
    "a deleted log": result("logs/calibrate/tiny.log"),
}

OTHER: dict[str, tuple[Edit, dict[str, int]]] = {
    "an older text": (older_text, {**FROM_CORPUS, "throughput": 1}),
    "other weights": (other_weights, FROM_MODEL),
    "the family of the model": (code("drank/models/families/entries.py", 'reads="heads"', 'reads="values"'), FROM_MODEL),
    "the seed of the calibration": (settings(calibration={"seed": 99}), FROM_CALIBRATION),
    "the code of a script": (code("workflow/scripts/calibrate.py", "run(snakemake", "print()\nrun(snakemake"), FROM_CALIBRATION),
    "one more ratio": (settings(ratios=[0.3, 0.5]), {"allocate": 2, "compress": 2, "evaluate": 2, "throughput": 1, **REPORTING}),
    "fewer windows of perplexity": (settings(perplexity={"windows": 4}), {"evaluate": 3, **REPORTING}),
    "a deleted record": (result("perplexity/tiny/svd-llm/0.3.json"), {"evaluate": 1, **REPORTING}),
    "a deleted timing": (result("throughput/tiny/0.3"), {"throughput": 1, **REPORTING}),
    "a deleted model": (result("models/tiny/svd-llm/0.3"), {"compress": 1, "evaluate": 1, "throughput": 1, **REPORTING}),
    "a deleted spectrum": (
        result("spectra/tiny/whitening-n1"),
        {"spectrum": 1, "allocate": 1, "compress": 1, "evaluate": 1, "throughput": 1, **REPORTING},
    ),
    "deleted moments": (result("moments/tiny"), FROM_CALIBRATION),
    "a deleted figure": (result("figures/perplexity.pdf"), {"figures": 1, "report": 1}),
    "an edited plan": (
        result("plans/tiny/svd-llm/0.3.json", lambda text: text.replace(b"tiny", b"tony")),
        {"allocate": 1, "compress": 1, "evaluate": 1, "throughput": 1, **REPORTING},
    ),
    "an edited record": (result("zeroshot/tiny/dense/0.json", lambda text: text + b"\n"), {"evaluate": 1, **REPORTING}),
    "a byte of a model": (
        result("models/tiny/svd-llm/0.3/model.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        {"compress": 1, "evaluate": 1, "throughput": 1, **REPORTING},
    ),
}


@pytest.mark.parametrize("edit", SAME.values(), ids=SAME)
def test_what_changes_no_number_reruns_nothing(finished: Run, edit: Edit) -> None:
    with edit(finished):  # type: ignore[attr-defined]
        assert finished.planned() == {}


@pytest.mark.parametrize("edit, jobs", OTHER.values(), ids=OTHER)
def test_a_change_reruns_what_hangs_on_it(finished: Run, edit: Edit, jobs: dict[str, int]) -> None:
    with edit(finished):  # type: ignore[attr-defined]
        assert finished.planned() == jobs
    assert finished.planned() == {}


def test_another_number_of_cores_reruns_nothing(finished: Run) -> None:
    assert finished.planned("--cores", "1") == finished.planned("--cores", "all") == {}
