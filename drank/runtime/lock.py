"""One live run per folder, and no step that outlives its run.

Snakemake's own lock stays behind when a run is killed outright, and the steps it had started work on. Here the lock belongs to the
process, so the operating system releases it, and every step ends soon after its run has: a run that is killed can simply be started again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

RUN = "DRANK_RUN"
"""Environment variable by which a run tells its steps who it is: host and process number."""

log = logging.getLogger(__name__)

_claimed: list[TextIO] = []


class FolderBusyError(RuntimeError):
    """A folder in which another run is alive."""


def claim(folder: str | Path) -> None:
    """Take a folder for the run that this process is, until it ends; raises FolderBusyError where another live run has it."""
    path = Path(folder) / ".snakemake" / "drank.lock"
    path.parent.mkdir(exist_ok=True)
    _claimed.append(_locked(path, Path(folder)))
    os.environ[RUN] = f"{socket.gethostname()}:{os.getpid()}"


@contextmanager
def hold(path: str | Path) -> Iterator[None]:
    """Hold a lock file until the context ends; raises FolderBusyError where another live process holds it."""
    file = _locked(Path(path), Path(path).parent)
    try:
        yield
    finally:
        file.close()


def _locked(path: Path, folder: Path) -> TextIO:
    """A lock file, open and locked, that says who holds it."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise FolderBusyError(f"another run ({owner}) is at work in {folder.resolve()}; wait for it to end or stop it") from None
    except OSError as error:
        log.warning("%s cannot be locked (%s); see to it that no other run works in this folder", path, error)
    file.truncate(0)
    file.write(f"{socket.gethostname()}:{os.getpid()}")
    file.flush()
    return file


def end_with_run(every: float = 0.5) -> None:
    """Watch, from a thread, the run that started this process; end the process at once when the run is gone.

    Does nothing where no run is known or it is on another host: a cluster's scheduler looks after its jobs itself.
    """
    host, _, number = os.environ.get(RUN, "").rpartition(":")
    if host != socket.gethostname():
        return

    def watch() -> None:
        while _alive(int(number)):
            time.sleep(every)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end with run").start()


def _alive(process: int) -> bool:
    """Whether a process exists and is more than a corpse its parent has not collected."""
    try:
        state = Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return False
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        return True
    return state != "Z"
