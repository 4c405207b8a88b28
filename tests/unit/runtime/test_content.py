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


def test_of_a_large_result_blocks_all_over_it_are_read_and_of_what_was_given_every_byte(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "BLOCK", 4)
    monkeypatch.setattr(content, "BLOCKS", 5)
    file, data = tmp_path / "model", bytearray(range(101))
    seen = set()
    for place in range(101):
        data[place] ^= 255
        file.write_bytes(data)
        seen |= {place} if contents.of_file(file, sampled=True) in {contents.of_file(file), ""} else set()
        assert contents.of_file(file) == sha(file)
        data[place] ^= 255
    file.write_bytes(data)
    whole, changed = contents.of_file(file, sampled=True), []
    for place in range(101):
        data[place] ^= 255
        file.write_bytes(data)
        changed += [place] if contents.of_file(file, sampled=True) != whole else []
        data[place] ^= 255
    assert not seen and changed == [start + i for start in (0, 24, 48, 72, 97) for i in range(4)]
    file.write_bytes(data[:-1])
    assert contents.of_file(file, sampled=True) != whole


def test_a_damaged_file_of_what_is_known_costs_time_alone(contents: Contents, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text('{"half')
    (tmp_path / "text").write_text("one")
    assert contents.of_file(tmp_path / "text") == sha(tmp_path / "text")
    contents.write()
    assert list(Contents().known) == []
    again = Contents()
    again.of_file(tmp_path / "text")
    assert list(again.known) == [str(tmp_path / "text")]
