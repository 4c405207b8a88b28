"""What is known of a file holds as long as the file does, and no longer."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from drank.runtime import content
from drank.runtime.content import KEPT, Contents


@pytest.fixture
def contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contents:
    monkeypatch.setenv(KEPT, str(tmp_path / "kept.json"))
    monkeypatch.setattr(content, "SETTLED", -1.0)  # all files of a test are young
    return Contents()


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def never(*_: object) -> str:
    raise AssertionError("read again")


def test_a_file_is_read_once_by_this_process_and_the_next(contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    assert contents.of_file(file) == sha(file)
    contents.write()
    monkeypatch.setattr(content, "_whole", never)
    assert contents.of_file(file) == Contents().of_file(file) == sha(file)
    (tmp_path / "gone").write_bytes(b"")
    monkeypatch.undo()
    assert Contents().of_file(file) == sha(file)


@pytest.mark.parametrize("when", [-1e9, 0, 1e9])
def test_another_content_of_the_same_size_is_another_whatever_its_time(contents: Contents, tmp_path: Path, when: float) -> None:
    """An unpacked archive sets the time back, an editor sets it on, `cp -p` can leave it where it was."""
    file = tmp_path / "text"
    file.write_bytes(b"word " * 100)
    before, status = contents.of_file(file), file.stat()
    for how in (file, tmp_path / "other"):
        how.write_bytes(b"work " * 100)
        os.utime(how, ns=(status.st_atime_ns, status.st_mtime_ns + int(when * 1e9)))
        how.replace(file)
        assert contents.of_file(file) == sha(file) != before


def test_what_was_written_a_moment_ago_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEPT, raising=False)
    file, contents = tmp_path / "young", Contents()
    file.write_bytes(b"one")
    contents.of_file(file)
    assert contents.known == {}


def test_a_folder_is_its_names_and_contents_but_for_those_that_change_later(contents: Contents, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "below/layer").write_text("one")
    first = contents.of(folder, {"README.md"})
    (folder / "README.md").write_text("numbers of a run")
    (folder / ".snakemake_timestamp").touch()
    assert contents.of(folder, {"README.md"}) == first != contents.of(folder)
    (folder / "below/layer").write_text("two")
    assert contents.of(folder, {"README.md"}) != first
    (folder / "below/layer").rename(folder / "layer")
    (folder / "layer").write_text("one")
    assert contents.of(folder, {"README.md"}) != first
    assert contents.of(tmp_path / "none") is None


def test_every_byte_of_a_large_result_counts(contents: Contents, tmp_path: Path) -> None:
    """Between blocks that are read a whole matrix has room: what follows would stand, though it was made of another."""
    file = tmp_path / "model"
    with file.open("wb") as stream:
        stream.truncate(1 << 27)
    before = contents.of(file)
    with file.open("r+b") as stream:
        stream.seek(33_000_000)
        stream.write(b"one")
    assert contents.of(file) != before


def test_what_another_job_has_read_meanwhile_is_not_read_again(contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model"
    with file.open("wb") as stream:
        stream.truncate(content.WORTH_KEEPING + 1)
    contents.of_file(tmp_path / "model")
    contents.known.clear()
    other = Contents()
    expected = other.of_file(file)
    monkeypatch.setattr(content, "_whole", never)
    assert contents.of_file(file) == expected


@pytest.mark.parametrize("kept", ["[1, 2]", "null", "5", '{"PATH": 5}', '{"PATH": null}', '{"PATH": [1]}', '{"PATH": "abcde"}'])
def test_what_is_kept_may_be_anything(contents: Contents, tmp_path: Path, kept: str) -> None:
    file = tmp_path / "text"
    file.write_text("one")
    (tmp_path / "kept.json").write_text(kept.replace("PATH", str(file)))
    assert contents.of_file(file) == sha(file)
    contents.write()
    assert list(Contents().known) == [] and Contents().of_file(file) == sha(file)


def test_where_nothing_can_be_kept_it_costs_time_alone(contents: Contents, tmp_path: Path) -> None:
    (tmp_path / "kept.json").mkdir()
    (tmp_path / "text").write_text("one")
    contents.of_file(tmp_path / "text")
    contents.write()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.json", "text"]


def test_a_damaged_file_of_what_is_known_costs_time_alone(contents: Contents, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text('{"half')
    (tmp_path / "text").write_text("one")
    assert contents.of_file(tmp_path / "text") == sha(tmp_path / "text")
    contents.write()
    assert list(Contents().known) == []
    again = Contents()
    again.of_file(tmp_path / "text")
    assert list(again.known) == [str(tmp_path / "text")]
