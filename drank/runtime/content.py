"""What is in files, by hash, each read once: as long as size, times and place of a file stay as they were, so does what is known of it.

A time counts in either direction: an older file in the place of another is another. So does the time of the last change of the entry
itself, which no copying tool sets back.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from drank.runtime.files import owner

KEPT = "DRANK_CONTENTS"
"""The environment variable that names the file in which a run keeps what is known, for its jobs and for the next run."""

SETTLED = 2.0
"""Seconds that a file must have been left alone before what is known of it is kept: within one tick of the clock it could change again."""

WORTH_KEEPING = 1 << 24
"""Bytes read after which what is known is written down at once, so that jobs which start meanwhile need not read them again."""


class Contents:
    """What is known of files; `known` gives for a path the state it was in, and the hash."""

    def __init__(self) -> None:
        self.known: dict[str, list[int | str]] = {}
        self.file: str | None = None
        self.unwritten = 0

    def of_file(self, path: str | Path) -> str:
        """The SHA-256 of a file."""
        self._load()
        path = Path(path)
        status = path.stat()
        name = str(path.absolute())
        state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        if status.st_size > WORTH_KEEPING and self.file and self.known.get(name, [])[:4] != state:
            self.known |= _read(self.file)  # another job may have read it meanwhile
        known = self.known.get(name)
        if known and known[:4] == state:
            return str(known[4])
        found = _whole(path)
        if time.time() - max(status.st_mtime, status.st_ctime) > SETTLED:
            self.known[name] = [*state, found]
            self.unwritten += status.st_size
            if self.unwritten > WORTH_KEEPING:
                self.write()
        return found

    def of(self, path: str | Path, without: Collection[str] = ()) -> str | None:
        """The hash of a result: of a file, or of the names and hashes of all in a folder but those `without`; None for nothing."""
        path = Path(path)
        try:
            if not path.is_dir():
                return self.of_file(path)
            files = sorted(file for file in path.rglob("*") if file.is_file() and not _aside(file.name, without))
            told = [[file.relative_to(path).as_posix(), self.of_file(file)] for file in files]
        except FileNotFoundError:
            return None
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def write(self) -> None:
        """Write down what is known, where a run keeps it, of what is still there."""
        if self.file and self.unwritten and Path(self.file).parent.is_dir():
            others = _read(self.file)
            self.known = {name: known for name, known in {**others, **self.known}.items() if Path(name).exists()}
            own = Path(f"{self.file}.{owner()}.part")
            with suppress(OSError):  # no room, or no right to write: it only saves time
                own.write_text(json.dumps(self.known), "utf-8")
                own.replace(self.file)
            with suppress(OSError):
                own.unlink()
            self.unwritten = 0

    def _load(self) -> None:
        if (file := os.environ.get(KEPT)) != self.file:
            self.file = file
            self.known = {**(_read(file) if file else {}), **self.known}


CONTENTS = Contents()
"""What this process knows."""


def content_of(path: str | Path) -> str:
    """The SHA-256 of a file, read anew only where it may have changed; raises FileNotFoundError."""
    return CONTENTS.of_file(path)


def _whole(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _aside(name: str, without: Collection[str]) -> bool:
    return name in without or name == ".snakemake_timestamp"


def _read(file: str) -> dict[str, list[int | str]]:
    try:
        found = json.loads(Path(file).read_text("utf-8"))
        return {name: known for name, known in found.items() if len(known) == 5 and isinstance(known, list)}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}  # none yet, or not what was written: it only saves time
