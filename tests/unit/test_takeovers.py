"""A resumable step that two processes take at once: one ends with an error, and what the other writes is as if it had been alone."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import drank
from drank.runtime.files import file_hash
from tests.unit.interrupted import small_llama
from tests.unit.resumable_step import take

pytestmark = pytest.mark.heavy

ROOT = Path(drank.__file__).parents[1]


def start(step: str, folder: Path, host: str, seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.unit.resumable_step", step, str(folder), host, str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stderr=subprocess.PIPE)


def written(folder: Path) -> list[Path]:
    """The files of statistics that are there, those that the step reads left out."""
    return [file for file in folder.rglob("*.safetensors") if not {"model", "moments"} & set(file.parts[-2:-1])]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """The folder of a model, and of every step on it taken in peace."""
    folder = tmp_path_factory.mktemp("undisturbed")
    small_llama().save_pretrained(folder / "model")
    for step in ("moments", "gradients", "spectra"):
        take(step, folder)
    return folder


@pytest.mark.parametrize("files", [0, 3])
@pytest.mark.parametrize("step", ["moments", "gradients", "spectra"])
def test_the_second_goes_on_where_the_first_was_and_the_first_ends_loudly(step, files, undisturbed, tmp_path):
    """The first is slow, and not told that anybody else is there, as the job of a run that was killed is not."""
    for needed in ("model", "moments") if step == "spectra" else ():
        (tmp_path / needed).symlink_to(undisturbed / needed)
    first = start(step, tmp_path, "node1", 0.25)
    while not list(tmp_path.glob(".*.partial")) or len(written(tmp_path)) < files:
        assert first.poll() is None
        time.sleep(0.02)
    second = start(step, tmp_path, "node2", 0.0)
    told = first.communicate(timeout=60)[1]
    assert second.wait(timeout=60) == 0, second.stderr.read()
    assert file_hash(tmp_path / step) == file_hash(undisturbed / step)
    if first.returncode:
        assert "TakenOverError" in told and f"another process goes on with {tmp_path / step}" in told
    assert not list(tmp_path.glob(".*")), "something was left behind"


def test_of_many_that_begin_together_one_at_least_ends_well_and_nothing_is_mixed(undisturbed, tmp_path):
    processes = [start("gradients", tmp_path, f"node{number}", 0.02 * number) for number in range(4)]
    told = [process.communicate(timeout=90)[1] for process in processes]
    failed = [text for process, text in zip(processes, told, strict=True) if process.returncode]
    assert len(failed) < len(processes)
    assert all("TakenOverError" in text for text in failed), failed
    assert file_hash(tmp_path / "gradients") == file_hash(undisturbed / "gradients")
    assert not list(tmp_path.glob(".*"))
