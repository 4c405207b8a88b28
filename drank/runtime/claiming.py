"""One live run per folder, on whatever host.

Snakemake's own lock stays behind when a run is killed outright. Here a run holds a lock of the operating system, which ends with the
process, and, for hosts that such a lock does not reach, a file that it touches every few seconds. A run that is killed can simply be
started again.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import TextIO

from drank.runtime.files import replacing
from drank.runtime.lock import FolderBusyError, locked
from drank.runtime.run import BEAT, RUN, SILENCE, Run, run_file, seen

log = logging.getLogger(__name__)

_claimed: list[TextIO] = []


def claim(folder: str | Path) -> None:
    """Take a folder for the run that this process is, until it ends; raises FolderBusyError where another live run has it.

    Where the last run was on another host and left without a word, it is watched until it has been silent for long enough.
    """
    os.environ.pop(RUN, None)  # of a run whose job starts this one
    state, run = Path(folder) / ".snakemake", Run.this()
    state.mkdir(exist_ok=True)
    file, lock = run_file(folder), locked(state / "drank.lock", Path(folder))
    try:
        _wait_for_silence(file, Path(folder))
    except BaseException:
        lock.close()
        raise
    _claimed.append(lock)
    with replacing(file) as temporary:
        temporary.write_text(str(run), "utf-8")
    os.environ[RUN] = str(run)
    atexit.register(_leave, file, run)
    threading.Thread(target=_beat, args=(file, run), daemon=True, name="beat").start()


def _wait_for_silence(file: Path, folder: Path) -> None:
    """Wait until the run that a file names is known to be gone; raises FolderBusyError when it gives a sign of life."""
    run, touched = seen(file)
    if run is None or run == Run.this() or (run.here and not run.alive()):
        return
    if run.here:
        raise FolderBusyError(run.name, folder)
    with replacing(file.with_name("drank.now")) as probe:  # by the clock of the file system, not of this host
        probe.touch()
        silent = (probe.stat().st_mtime_ns - touched) / 1e9
    if silent < SILENCE:
        log.warning("%s was at work here %.0f s ago; waiting up to %.0f s to see whether it still is", run.name, silent, SILENCE - silent)
    while silent < SILENCE:
        time.sleep(1)
        silent += 1
        if seen(file) != (run, touched):
            raise FolderBusyError(run.name, folder)


def _beat(file: Path, run: Run) -> None:
    """Touch the file of this run for as long as the process lives; where another run has taken the folder, interrupt this one."""
    while True:
        time.sleep(BEAT)
        try:
            if seen(file)[0] not in (run, None):
                break
            os.utime(file)
        except FileNotFoundError:
            log.error("%s was removed; the steps of this run end", file)
            return
        except OSError:
            continue  # a file system that does not answer now
    log.error("another run has taken %s while this one, %s, gave no sign of life; this one ends", file.parents[1].resolve(), run.name)
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as a script's shell leaves it to what runs behind `&`
    os.kill(os.getpid(), signal.SIGTERM if ignored else signal.SIGINT)  # so that Snakemake cancels its jobs


def _leave(file: Path, run: Run) -> None:
    """Say that this run has ended."""
    if seen(file)[0] == run:
        file.write_text("ended", "utf-8")
