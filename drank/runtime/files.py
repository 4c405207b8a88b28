"""Files that are whole or absent: everything drank writes is written beside its place and then moved there in one step."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from drank.runtime.belonging import check_run
from drank.runtime.stand_ins import stand_in

_TOKEN = secrets.token_hex(4)  # process numbers are given out again

OWNER = r"[A-Za-z0-9_-]+-\d+-[0-9a-f]{8}"
"""What `owner` gives, as a regular expression; no dot in it, so that `.qwen2.5.….part` is not taken for one of `qwen2`."""


class TakenOverError(RuntimeError):
    """What this process was making has been taken over by another, which goes on with it or makes it anew."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path in the same folder that takes the place of `path` when the block ends without an error.

    Works for files and for directories; what an interrupted process leaves behind has another name and is never read. The last process to
    begin has its way: raises TakenOverError where another has begun to write the same path since.
    """
    path = Path(path)
    _reach(path.parent)
    _sweep(path)
    temporary = path.with_name(f".{path.name}.{owner()}.part")
    try:
        yield temporary
        _place(temporary, path)
    finally:
        remove(temporary)


@contextmanager
def resuming(directory: str | Path, facts: Any) -> Iterator[Path]:
    """A folder beside `directory` that takes its place when the block ends without an error, and is kept when it does not.

    A later run with equal `facts`, anything JSON can hold, gets the folder with all that an interrupted one had written there, of which
    only what was moved into it whole (`replacing`) can be trusted. Work for other facts is discarded.

    The folder bears its owner's name. Whoever goes on with another's work, or discards it, renames it first: should that other still be
    at it, on this host or another, it finds its folder gone at the next file it reads or writes, and ends with a TakenOverError.
    """
    directory = Path(directory)
    _reach(directory.parent)
    _sweep(directory)
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    partial = directory.with_name(f".{directory.name}.{key}.{owner()}.partial")
    for found in _beside(directory, rf"[0-9a-f]{{16}}(\.{OWNER})?\.partial"):
        same = found.name.startswith(f".{directory.name}.{key}.")
        if found != partial and not (same and not partial.exists() and _renamed(found, partial)):
            _discard(found, directory)
    partial.mkdir(exist_ok=True)
    for unfinished in partial.glob(".*"):  # hidden names are those of files that were still being written, by us or by safetensors
        remove(unfinished)
    try:
        yield partial
        _place(partial, directory)
    except Exception as error:
        if partial.is_dir():
            raise
        raise TakenOverError(f"{partial} is gone: another process goes on with {directory}") from error


def owner() -> str:
    """This process by a name that no other has, on any host: `node1-4711-9f86d081`."""
    return f"{re.sub('[^A-Za-z0-9-]', '_', socket.gethostname())}-{os.getpid()}-{_TOKEN}"


def _beside(path: Path, rest: str) -> list[Path]:
    """What stands beside a path under its own name, hidden, with an ending that `rest` matches: `qwen2.5` is not `qwen2`. Newest first."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.{rest}")
    return sorted((found for found in path.parent.iterdir() if pattern.fullmatch(found.name)), key=_changed, reverse=True)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # its owner has finished it
        return 0.0


def _reach(folder: Path) -> None:
    """Make a folder and those above it, but never one of work under way: another process has taken that away."""
    if folder.is_dir():
        return
    under_way = (part for part in (folder, *folder.parents) if re.fullmatch(r"\..+\.part(ial)?", part.name))
    if lost := next((part for part in under_way if not part.is_dir()), None):
        raise TakenOverError(f"{lost} is gone: another process has taken over what was made there")
    folder.mkdir(parents=True, exist_ok=True)


def _place(new: Path, path: Path) -> None:
    """Move what is whole to its place, in one step but where a folder has to make way; a job whose run is gone moves nothing."""
    check_run()
    while True:
        try:
            os.replace(new, path)
        except FileNotFoundError as error:
            raise TakenOverError(f"{new} is not there any more: another process writes {path} too, or nothing was written") from error
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR):
                raise
            _discard(path, path)
        else:
            return


def _sweep(path: Path) -> None:
    """Remove what processes that were killed left beside a path."""
    for leftover in _beside(path, rf"({OWNER}(\.\d+)?|\d+)\.part"):
        _discard(leftover, path)


def _discard(path: Path, place: Path) -> None:
    """Remove what somebody may still be writing or reading, in or beside its place: out of the way first, as a whole."""
    names = (place.with_name(f".{place.name}.{owner()}.{number}.part") for number in count())
    aside = next(name for name in names if not name.exists())
    if _renamed(path, aside):
        remove(aside)


def _renamed(path: Path, to: Path) -> bool:
    """Whether a path was there to be renamed."""
    try:
        path.rename(to)
    except FileNotFoundError:
        return False
    return True


def remove(path: Path) -> None:
    """Remove a file or a folder, though somebody else may be removing parts of it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=_unless_gone)
    else:
        path.unlink(missing_ok=True)


def _unless_gone(_function: Any, _path: str, error: Any) -> None:
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]


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
    """The value in a JSON file; a ValueError that names the file if it is not JSON, or no file, such as a pipe that nobody writes to."""
    if Path(path).exists() and not Path(path).is_file():
        raise ValueError(f"{path} is no regular file; put the file itself there")
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} {stand_in(path) or f'is not valid JSON ({error}); fetch it again, or delete it and run again'}"
        ) from error


def file_hash(path: str | Path, without: Collection[str] = ()) -> str:
    """The SHA-256 of a file, or of a folder: of the names and hashes of all files below it, in order of name, those `without` left out."""
    path = Path(path)
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file() and file.name not in without)
    listing = "".join(f"{file_hash(path / name)}  {name}\n" for name in names)
    return hashlib.sha256(listing.encode()).hexdigest()
