"""Of which files a note tells, and where it lies; that runs go by notes is a test of the workflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from drank.runtime.comparing import checksum_of, given
from drank.runtime.metadata import _Notes


def test_results_have_notes_and_parts_and_what_a_user_gave_have_none() -> None:
    notes = object.__new__(_Notes)
    notes.place, notes.aside, notes.parts = Path("results"), frozenset({"README.md"}), "results/parts/"
    assert notes.path("train.txt") is notes.path("results/parts/moments/tiny/1-of-4") is None
    assert notes.path("results/moments/tiny") == Path("results/.notes/moments/tiny.json")
    assert notes.is_result("results/moments/tiny") and not notes.is_result("results-of-old/x")


def test_what_a_user_gave_is_told_by_its_last_name_and_every_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word changed for another in the middle of a large text leaves its size, start and end as they were."""
    monkeypatch.chdir(tmp_path)
    text = bytearray(b"word " * 100_000)
    Path("train.txt").write_bytes(text)
    before = given("train.txt")
    (tmp_path / "elsewhere").mkdir()
    Path("elsewhere/train.txt").write_bytes(text)
    assert given(str(tmp_path / "elsewhere/train.txt")) == before
    text[250_000:250_004] = b"work"
    Path("train.txt").write_bytes(text)
    assert given("train.txt") != before
    assert given("none.txt") == "none.txt" and checksum_of("none.txt", ()) is None
