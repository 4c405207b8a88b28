"""What a note tells a result and its inputs by; that runs go by it is a test of the workflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from drank.runtime.metadata import _Notes, fingerprint


def test_of_what_the_user_gave_a_note_knows_every_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word changed for another in the middle of a large text leaves its size, start and end as they were."""
    monkeypatch.chdir(tmp_path)
    notes = object.__new__(_Notes)
    notes.place, notes.aside, notes.parts = Path("results"), frozenset({"README.md"}), "results/parts/"
    text = bytearray(b"word " * 100_000)
    Path("train.txt").write_bytes(text)
    before = notes.fingerprint("train.txt")
    text[250_000:250_004] = b"work"
    Path("train.txt").write_bytes(text)
    assert notes.fingerprint("train.txt") != before
    assert notes.fingerprint("results/none") is notes.fingerprint("none") is None
    assert notes.path("train.txt") is notes.path("results/parts/moments/tiny/1-of-4") is None
    assert notes.path("results/moments/tiny") == Path("results/.notes/moments/tiny.json")


def test_a_folder_is_told_by_names_sizes_and_ends_of_its_files_but_for_those_that_change_later(tmp_path: Path) -> None:
    (tmp_path / "layer").write_text("one")
    first = fingerprint(tmp_path, {"README.md"})
    (tmp_path / "README.md").write_text("numbers of a run")
    assert fingerprint(tmp_path, {"README.md"}) == first != fingerprint(tmp_path)
    (tmp_path / "layer").write_text("two")
    assert fingerprint(tmp_path, {"README.md"}) != first
    (tmp_path / "layer").rename(tmp_path / "other")
    (tmp_path / "other").write_text("one")
    assert fingerprint(tmp_path, {"README.md"}) != first
