"""No job outlives its run: it ends when the run is gone, and does not begin when it is gone already.

On the run's own host a job looks for its process, on others at its file. What a dead run had started would otherwise work on, or start
hours later from a scheduler's queue, beside the jobs of the next.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

from drank.runtime.run import RUN, SILENCE, Run, run_file, seen

log = logging.getLogger(__name__)


class RunGoneError(RuntimeError):
    """A job whose run has ended or lost its folder."""


def belong(folder: str | Path = ".") -> None:
    """Make sure, at its start, that the run of this job has the folder still; raises RunGoneError where it has not.

    A job that waited in a queue may start long after its run was killed, and after another has done its work. A scheduler that hands no
    environment on does not say whose the job is; it is then of the run that has the folder.
    """
    found, _ = seen(run_file(folder))
    if RUN not in os.environ and found is not None:
        os.environ[RUN] = str(found)
    check_run(folder)


def check_run(folder: str | Path = ".") -> None:
    """Raise RunGoneError where the run of this process is gone or another has the folder.

    Nothing is known, and nothing raised, without a run, and where the folder has no file of any, as on a node that does not share it.
    """
    mine = Run.read(os.environ.get(RUN, ""))
    if mine is None:
        return
    found, touched = seen(run_file(folder))
    if (touched and found != mine) or (mine.here and not mine.alive()):
        other = f"; {found.name} is at work here now" if found not in (None, mine) else ""
        raise RunGoneError(f"the run that started this job, {mine.name}, is gone{other}")


def end_with_run(every: float = 0.5, folder: str | Path = ".") -> None:
    """Watch, from a thread, the run that started this process; end the process at once when the run is gone. Nothing without a run."""
    run = Run.read(os.environ.get(RUN, ""))
    if run is None:
        return
    file = run_file(folder).resolve()

    def watch() -> None:
        while run.alive() if run.here else watched.alive():
            time.sleep(every if run.here else 4 * every)
        log.warning("the run that started this step, %s, is gone; the step ends", run.name, extra={"brief": True})
        os._exit(1)

    watched = Watched(file, run, round(SILENCE / (4 * every)))
    threading.Thread(target=watch, daemon=True, name="end with run").start()


class Watched:
    """A run on another host, seen by what it does to its file.

    Only what is seen counts, look by look, and never the clocks of two hosts: while the file system does not answer nothing is known.
    """

    def __init__(self, file: Path, run: Run, patience: int) -> None:
        """`patience` is after how many looks that see nothing new the run is gone."""
        self._file, self._run, self._patience = file, run, patience
        self._last: tuple[Run | None, int] = (None, 0)
        self._same = 0

    def alive(self) -> bool:
        """Look once: whether the run has its folder still and has touched its file within so many looks.

        A file that has never been there tells nothing: the folder is not shared with this host.
        """
        try:
            now = seen(self._file)
        except OSError:
            return True
        if now == (None, 0) == self._last:
            return True
        self._same, self._last = (self._same + 1 if now == self._last else 0), now
        return now[0] == self._run and self._same < self._patience
