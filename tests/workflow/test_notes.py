"""What Snakemake noted of results outlives its folder, and a result without a note that holds is never taken for current."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.runs import Run


@pytest.fixture
def forgotten(finished: Run) -> Iterator[Run]:
    """A finished run whose `.snakemake` is not there, as where results were copied or the main process died before its jobs."""
    kept = finished.folder.with_name("kept")
    (finished.folder / ".snakemake").rename(kept)
    shutil.copytree(finished.folder / "results/.notes", kept.with_name("notes"))
    try:
        yield finished
    finally:
        for place, back in ((".snakemake", kept), ("results/.notes", kept.with_name("notes"))):
            shutil.rmtree(finished.folder / place, ignore_errors=True)
            back.rename(finished.folder / place)


def test_results_alone_are_accepted_by_what_was_noted_beside_them(forgotten: Run) -> None:
    assert forgotten.planned() == {}


def test_a_change_reruns_what_it_would_have_with_the_notes_of_snakemake(finished: Run, forgotten: Run) -> None:
    before = forgotten.config
    try:
        forgotten.change(corpora={"words": {**before["corpora"]["words"], "join": "\n"}})
        without = forgotten.planned()
        assert {"corpus", "tokenize", "calibrate", "spectrum", "compress", "evaluate"} <= without.keys()
        shutil.rmtree(forgotten.folder / ".snakemake")
        shutil.copytree(forgotten.folder.with_name("kept"), forgotten.folder / ".snakemake")
        assert forgotten.planned() == without
    finally:
        forgotten.change(**before)


def test_a_result_without_any_note_is_made_again(forgotten: Run) -> None:
    notes = forgotten.folder / "results/.notes"
    (notes / "moments/tiny.json").unlink()
    planned = forgotten.planned()
    assert planned["calibrate"] == 1 and "corpus" not in planned
    shutil.rmtree(notes)
    shutil.rmtree(forgotten.folder / ".snakemake")  # in which the dry run has laid the other notes
    assert {"corpus", "tokenize", "source", "calibrate", "report"} <= forgotten.planned().keys()


@pytest.mark.parametrize("place", ["results/plans/tiny/d-rank/0.3.json", "train.txt"])
def test_a_note_does_not_hold_for_another_result_or_another_input(place: str, forgotten: Run) -> None:
    """An orphan of an older run may put its result in place, and copied results may meet another text under the same name."""
    file = forgotten.folder / place
    text, times = file.read_bytes(), (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    try:
        rewrite(file, text.replace(b"matrix", b"vector") if place == "train.txt" else text + b"\n", times)
        assert forgotten.planned()[{"train.txt": "corpus"}.get(place, "allocate")] == 1
    finally:
        rewrite(file, text, times)


def test_a_note_that_was_being_written_when_the_process_died_is_restored(finished: Run) -> None:
    """Snakemake ignores such a note, and with it every change that it would have told of."""
    records = [path for path in (finished.folder / ".snakemake/metadata").rglob("*") if path.is_file()]
    half = next(path for path in records if '"calibrate"' in path.read_text())
    half.write_text(half.read_text()[:40])
    before = finished.config
    try:
        finished.change(calibration={**before["calibration"], "seed": 14})
        assert finished.planned()["calibrate"] == 1
    finally:
        finished.change(**before)
    assert finished.planned() == {}


def rewrite(file: Path, content: bytes, times: tuple[int, int]) -> None:
    """Another content with the same times."""
    file.write_bytes(content)
    os.utime(file, ns=times)
