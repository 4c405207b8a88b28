"""Of which files a note tells, and where it lies; that runs go by notes is a test of the workflow."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from drank.runtime.comparing import checksum_of, given
from drank.runtime.metadata import _Notes

METHODS = ("started", "finished", "incomplete", "_read_record", "_input", "_params", "_code", "input_checksums")


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


def test_two_settings_that_change_places_are_others() -> None:
    """Snakemake notes values alone: a text to calibrate on and one to train on, the one for the other, would leave all as it was."""
    kind = type("Kind", (), {name: lambda *_: None for name in METHODS})
    _Notes(kind)
    texts = {"corpus": "one", "windows": 8}, {"windows": 4, "corpus": "two"}

    def params(calibration: object, training: object) -> list[str]:
        rule = SimpleNamespace(
            params=SimpleNamespace(_allitems=lambda: [("calibration", texts[0]), ("places", print), ("training", len)]),
            _is_deriving_function=lambda function: function is print,
        )
        found: list[str] = kind._params(None, SimpleNamespace(rule=rule, non_derived_params=[calibration, training]))
        return found

    assert params(*texts) != params(*reversed(texts))
    assert params(*texts) == params(*(dict(reversed(text.items())) for text in texts))


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "{}", '{"output": "x", "record": 5, "inputs": {}}', '{"output": "x", "record": {}}'])
def test_a_damaged_note_tells_nothing(text: str, tmp_path: Path) -> None:
    notes = object.__new__(_Notes)
    notes.place, notes.aside, notes.parts = tmp_path, frozenset(), "parts/"
    assert notes.known(str(tmp_path / "plan.json")) is None
    place = tmp_path / ".notes/plan.json.json"
    place.parent.mkdir()
    place.write_text(text)
    assert notes.known(str(tmp_path / "plan.json")) is None
    place.write_text('{"output": "x", "record": {}, "inputs": {}}')
    assert notes.known(str(tmp_path / "plan.json")) == {"output": "x", "record": {}, "inputs": {}}
