"""Model directories that drank makes itself: once, below the user's cache, in a process of its own, whole or not at all."""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from drank.runtime.home import expanded

log = logging.getLogger(__name__)


class Work(NamedTuple):
    """What makes directories of one kind: `maker` stands as `module:function`, which gets a text and the directory; the rest is said.

    `doing` is what goes on, `memory` what it needs, `failed` what it means where the maker raises, and `disk` the room that it takes.
    """

    maker: str
    doing: str
    memory: str
    failed: str
    disk: str


def place_of(kind: str, name: str) -> Path:
    """Where a directory of this kind and name is kept: below `$XDG_CACHE_HOME/drank`, or `~/.cache/drank`."""
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "drank" / kind / name


@cache
def failure(work: Work, what: str, text: str, directory: Path) -> str | None:
    """Why a directory cannot be made of a text, None once it is; told again, not tried again, by every part of a process that asks.

    `what` is what messages call the thing that it is made of.
    """
    try:
        with _alone(directory):
            return None if directory.is_dir() else _made_apart(work, what, text, directory)
    except OSError as error:
        return f"{directory.parent}: cannot be written ({error.strerror}); set XDG_CACHE_HOME to a folder with room for {work.disk}"


def _made_apart(work: Work, what: str, text: str, directory: Path) -> str | None:
    """Make the directory in a process of its own, whose memory goes with it; why that failed, None where it did not."""
    log.info("%s %s, once, into %s", work.doing, what, directory)
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; from {__name__} import main; main(*sys.argv[1:])", work.maker, text, str(directory)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"{what}: {work.doing} was killed by signal {-done.returncode}; it needs {work.memory}"
    said = done.stderr.strip().splitlines()
    return f"{what}: {work.failed} ({said[-1][:500] if said else 'it says nothing'})"


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Let one process at a time make a directory; the others wait for it."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with (directory.parent / f".{directory.name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(maker: str, text: str, directory: str) -> None:
    """A maker as a process: where it raises, exit status 1 and the error in one line on stderr."""
    sys.excepthook = lambda kind, error, _: sys.stderr.write(f"{kind.__name__}: {' '.join(str(error).split())}")
    module, _, name = maker.partition(":")
    getattr(import_module(module), name)(text, Path(directory))
