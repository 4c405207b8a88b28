"""Kill runs at random and let orphans and newcomers meet, locally and on a SLURM, and print what became of the numbers.

`python -m tests.slurm.torture [--kills 20] [--takeovers 10] [--where local slurm] [--longest 20] [--seed 1]`: kills of each kind, and
takeovers, in each place. An hour or two on two cores; exit status 1 where a number was wrong or anything was left behind.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.slurm.cluster import Cluster
from tests.slurm.kills import KILLS, Torment, torment
from tests.slurm.places import QUICK, Place
from tests.slurm.results import TARGET, differences, facts, leftovers, write_resumable
from tests.slurm.takeovers import STEPS, takeover
from tests.workflow.runs import PROJECT


@contextmanager
def place_named(name: str, project: Path) -> Iterator[Place]:
    """A place to run in, its cluster up while the context lasts."""
    if name == "local":
        yield Place(project=project)
    else:
        with Cluster(nodes=2) as cluster:
            yield Place(cluster, (*QUICK, "--slurm-status-command", "squeue"), project)


def killed(place: Place, reference: Path, work: Path, times: int, longest: float, draw: random.Random) -> Iterator[tuple[str, ...]]:
    """Kill runs until each kind of kill has been given its number of times; the rows of the table."""
    kills: Counter[str] = Counter()
    within: Counter[str] = Counter()
    wrong = number = 0
    while left := [kill for kill in KILLS for _ in range(times - kills[kill])]:
        number += 1
        folder = work / f"{place.name}-{number}"
        shutil.copytree(reference.with_name("inputs"), folder)
        done = Torment(longest)
        try:
            torment(done, place, folder, draw.sample(left, len(left)), draw, TARGET)
            bad = [*differences(facts(reference), facts(folder)), *leftovers(folder)]
        except AssertionError as error:
            bad = [str(error)]
        kills += done.kills
        within += done.within
        wrong += bool(bad)
        tell(place.name, f"run {number}", dict(done.kills), f"{done.within.total()} within a step", bad or "as undisturbed")
        if not bad:
            shutil.rmtree(folder)
    for kill in kills:
        yield place.name, kill, str(kills[kill]), str(within[kill]), ""
    if kills:
        yield place.name, f"all, in {number} runs", str(kills.total()), str(within.total()), str(wrong)


def taken_over(place: Place, reference: Path, work: Path, times: int, draw: random.Random) -> Iterator[tuple[str, ...]]:
    """Let each resumable step in turn be taken over while it goes on; the row of the table."""
    unsound = outlived = 0
    for number in range(times):
        one = takeover(place, reference, work / f"{place.name}-takeover-{number}", list(STEPS)[number % len(STEPS)], draw)
        unsound += not one.sound
        outlived += one.outlived
        tell(place.name, f"takeover {number + 1}", one)
    if times:
        yield place.name, f"takeover, {outlived} with the orphan last", str(times), str(times), str(unsound)


def tell(*words: object) -> None:
    """Print, at once."""
    sys.stdout.write("  ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Torture, and the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each kind, in each place")
    parser.add_argument("--takeovers", type=int, default=10, help="in each place")
    parser.add_argument("--where", nargs="+", default=["local", "slurm"], choices=["local", "slurm"])
    parser.add_argument("--longest", type=float, help="seconds between two kills; half of what a run takes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--project", type=Path, default=PROJECT, help="another version of drank")
    asked = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="drank-torture-"))
    tell(f"in {work}")
    reference = work / "undisturbed"
    write_resumable(reference)
    shutil.copytree(reference, reference.with_name("inputs"))
    started = time.monotonic()
    Place(project=asked.project).finish(reference, TARGET)
    took = time.monotonic() - started
    longest = asked.longest or took / 2  # or a run gets nowhere on a busy machine
    tell(f"undisturbed: {took:.0f} s; at most {longest:.0f} s between two kills")
    rows = []
    for name in asked.where:
        with place_named(name, asked.project) as place:
            draw = random.Random(f"{name} {asked.seed}")
            rows += taken_over(place, reference, work, asked.takeovers, draw)
            rows += killed(place, reference, work, asked.kills, longest, draw)
    tell("| where | what | times | in a resumable step's work | wrong |\n|---|---|---|---|---|")
    for row in rows:
        tell("| " + " | ".join(row) + " |")
    return int(any(row[-1] not in ("", "0") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
