"""Files that are whole or absent: everything drank writes is written beside its place and then moved there in one step."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path in the same folder that takes the place of `path` when the block ends without an error.

    Works for files and for directories; what an interrupted process leaves behind has another name and is never read.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in _beside(path, r"\d+\.part"):  # of a process that was killed
        _remove(leftover)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        _remove(temporary)


@contextmanager
def resuming(directory: str | Path, facts: Any) -> Iterator[Path]:
    """A folder beside `directory` that takes its place when the block ends without an error, and is kept when it does not.

    A later run with equal `facts`, anything JSON can hold, gets the folder with all that an interrupted one had written there, of which
    only what was moved into it whole (`replacing`) can be trusted. Work for other facts is discarded.
    """
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    partial = directory.with_name(f".{directory.name}.{key}.partial")
    for stale in _beside(directory, r"[0-9a-f]{16}\.partial"):
        if stale != partial:
            _remove(stale)
    partial.mkdir(exist_ok=True)
    for unfinished in partial.glob(".*"):  # hidden names are those of files that were still being written, by us or by safetensors
        _remove(unfinished)
    yield partial
    if directory.is_dir():
        shutil.rmtree(directory)
    os.replace(partial, directory)


def _beside(path: Path, rest: str) -> list[Path]:
    """What stands beside a path under its own name, hidden, with an ending that `rest` matches: `qwen2.5` is not `qwen2`."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.{rest}")
    return [found for found in path.parent.iterdir() if pattern.fullmatch(found.name)]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def share_mode(files: Iterable[Path], like: Path) -> None:
    """Give files the mode of another, which has what this user gives to files: safetensors are written with 0600 whatever the umask."""
    mode = like.stat().st_mode
    for file in files:
        file.chmod(mode)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON with sorted keys, whole or not at all; non-finite numbers are refused with a ValueError."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """The value in a JSON file; a ValueError that names the file if it is not JSON."""
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); delete it and run again") from error


def file_hash(path: str | Path, without: Collection[str] = ()) -> str:
    """The SHA-256 of a file, or of a folder: of the names and hashes of all files below it, in order of name, those `without` left out."""
    path = Path(path)
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file() and file.name not in without)
    listing = "".join(f"{file_hash(path / name)}  {name}\n" for name in names)
    return hashlib.sha256(listing.encode()).hexdigest()
