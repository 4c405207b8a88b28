"""A run that is killed again and again, in every way a run is killed, until it has finished all the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.slurm.places import Place

KILLS = ("SIGKILL", "SIGHUP", "SIGTERM", "SIGINT", "scancel")
GROUP = {"SIGHUP", "SIGINT"}  # a terminal sends these to all that runs in it
GRACE = 600.0  # seconds in which a run must end that was asked to, or has little left to do


@dataclass
class Torment:
    """What was done to one run: the kills, and how many of them met a resumable step with a part of its work done."""

    longest: float = 40.0  # seconds between two kills
    kills: Counter[str] = field(default_factory=Counter)
    within: Counter[str] = field(default_factory=Counter)


def torment(done: Torment, place: Place, folder: Path, kills: Iterable[str], draw: random.Random, *targets: str) -> None:
    """Start a run in a folder and kill it as told, start it again at once, and so on until it is done or no kill is left.

    Half of the kills wait for a resumable step to be at work, the others do not look. Those that were dealt are added to `done`: none
    when the run is done already.
    Whatever is left to do in the end is done undisturbed. An AssertionError where that fails, or where a kill does not end a run.
    """
    run = place.start(folder, *targets)
    for kill in kills:
        if run.poll() not in (0, None):
            run = place.start(folder, *targets)
        wait(run, folder, done.longest, draw)
        if run.poll() == 0:
            break
        done.kills[kill] += 1
        done.within[kill] += under_way(folder)
        strike(place, run, folder, kill)
    if ended(run, folder):
        place.finish(folder, *targets)


def wait(run: subprocess.Popen[bytes], folder: Path, longest: float, draw: random.Random) -> None:
    """Wait for a random moment of a run, or its end."""
    end = time.monotonic() + draw.uniform(3, longest)
    aimed = draw.random() < 0.5
    while run.poll() is None and time.monotonic() < end:
        if aimed and under_way(folder):
            aimed, end = False, time.monotonic() + draw.uniform(0, 3)
        time.sleep(0.05)


def strike(place: Place, run: subprocess.Popen[bytes], folder: Path, kill: str) -> None:
    """Kill a run in one way, and wait for its end where its main process is what was killed."""
    if kill == "scancel":
        place.cancel(run.pid)
    else:
        with suppress(ProcessLookupError):  # it has just ended by itself
            (os.killpg if kill in GROUP else os.kill)(run.pid, getattr(signal, kill))
        ended(run, folder)


def ended(run: subprocess.Popen[bytes], folder: Path) -> int:
    """The exit status of a run that is to end by itself; an AssertionError where it does not."""
    try:
        return run.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        raise AssertionError(f"the run in {folder} does not end") from None


def under_way(folder: Path) -> bool:
    """Whether a resumable step has finished a part of its work but not all."""
    found = os.walk(folder / "results")  # which does not mind what is renamed meanwhile
    return any(name.startswith("layer-") for root, _, files in found if root.endswith(".partial") for name in files)
