"""Who a run is, and the file by which it holds a folder: it names the run, which touches it every few seconds."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import NamedTuple

RUN = "DRANK_RUN"
"""Environment variable by which a run tells its jobs who it is, as `Run` writes itself."""

BEAT, SILENCE = 5.0, 60.0
"""Seconds after which a run touches its file, and for which it may fail to before it counts as gone."""


class Run(NamedTuple):
    """Who a run is: its host, its process number, and when that process started, in ticks of its system."""

    host: str
    process: int
    started: str

    @classmethod
    def this(cls) -> Run:
        """The run that this process is."""
        return cls(socket.gethostname(), os.getpid(), _started(os.getpid()) or "")

    @classmethod
    def read(cls, text: str) -> Run | None:
        """The run that `str` wrote; None for anything else."""
        host, _, rest = text.strip().partition(":")
        process, _, started = rest.partition(":")
        return cls(host, int(process), started) if process.isdigit() else None

    def __str__(self) -> str:
        return f"{self.host}:{self.process}:{self.started}"

    @property
    def name(self) -> str:
        """Host and process number."""
        return f"{self.host}:{self.process}"

    @property
    def here(self) -> bool:
        """Whether it is on this host."""
        return self.host == socket.gethostname()

    def alive(self) -> bool:
        """Of a run on this host: whether its process exists and is more than a corpse that its parent has not collected."""
        started = _started(self.process)
        return started is not None and started == (self.started or started)


def run_file(folder: str | Path) -> Path:
    """The file that says which run has a folder."""
    return Path(folder) / ".snakemake" / "drank.run"


def seen(file: Path) -> tuple[Run | None, int]:
    """The run that a file names, and when it was touched last. Opened, since a network file system asks its server then."""
    try:
        with file.open(encoding="utf-8") as text:
            return Run.read(text.read()), os.fstat(text.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None, 0


def _started(process: int) -> str | None:
    """When a process started, in ticks of the system, empty where it does not tell; None for one that does not exist any more."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return None
        except PermissionError:  # it is somebody else's, and there
            pass
        return ""
    return None if fields[0] == "Z" else fields[19]
