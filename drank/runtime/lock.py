"""A lock file that the operating system releases when its process ends, however it ends."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

log = logging.getLogger(__name__)


class FolderBusyError(RuntimeError):
    """A folder in which another run is alive."""

    def __init__(self, owner: str, folder: Path) -> None:
        """`owner` is host and process number of that run."""
        super().__init__(f"another run ({owner}) is at work in {folder.resolve()}; wait for it to end or stop it")


class FolderOfOthersError(PermissionError):
    """A folder whose lock this user may not write, as in the run of somebody else."""

    def __init__(self, path: Path, folder: Path) -> None:
        """`path` is the lock."""
        owner = "another user"
        with suppress(OSError, KeyError):  # a number without a name
            owner = (path if path.exists() else path.parent).owner()
        super().__init__(
            f"{path} cannot be written by you: one user owns the folder of a run, and {folder.resolve()} is that of {owner}; "
            "copy its results/ into a folder of your own and run there"
        )


@contextmanager
def hold(path: str | Path) -> Iterator[None]:
    """Hold a lock file until the context ends; raises what `locked` does."""
    file = locked(Path(path), Path(path).parent)
    try:
        yield
    finally:
        file.close()


def locked(path: Path, folder: Path) -> TextIO:
    """A lock file, open and locked until it is closed, that says who holds it.

    Raises FolderBusyError where another live process holds it, FolderOfOthersError where this user may not write it.
    """
    try:
        file = path.open("a+")
    except PermissionError:
        raise FolderOfOthersError(path, folder) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise FolderBusyError(owner, folder) from None
    except OSError as error:
        log.warning("%s cannot be locked (%s); see to it that no other run works in this folder", path, error)
    file.truncate(0)
    file.write(f"{socket.gethostname()}:{os.getpid()}")
    file.flush()
    return file
