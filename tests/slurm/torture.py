"""Kill runs at random and let orphans and newcomers meet, locally and on a SLURM, and print what became of the numbers.

`python -m tests.slurm.torture [--kills 20] [--takeovers 10] [--where local slurm] [--seed 1]`: kills of each kind, and takeovers, in each
place. An hour or two on two cores; exit status 1 where a number was wrong or anything was left behind.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.slurm.cluster import Cluster
from tests.slurm.kills import KILLS, torment
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


def torture(place: Place, reference: Path, work: Path, kills: int, takeovers: int, draw: random.Random) -> Iterator[tuple[str, ...]]:
    """The rows of the table for one place, told as they are made."""
    asked, wrong = Counter(dict.fromkeys(KILLS, kills)), 0
    total: Counter[str] = Counter()
    within: Counter[str] = Counter()
    inputs = ["model", "train.txt", "test.txt", "task.jsonl", "task.yaml", "config.yaml"]
    for number in range(10**6):
        left = [kill for kill in KILLS for _ in range(asked[kill] - total[kill])]
        if not left:
            break
        folder = work / f"{place.name}-{number}"
        folder.mkdir()
        for name in inputs:
            copy = shutil.copytree if (reference / name).is_dir() else shutil.copy
            copy(reference / name, folder / name)
        done = torment(place, folder, draw.sample(left, len(left)), draw, TARGET)
        total += done.kills
        within += done.within
        bad = [*differences(facts(reference), facts(folder)), *leftovers(folder)]
        wrong += bool(bad)
        tell(place.name, f"run {number + 1}", dict(done.kills), f"{done.within.total()} within a step", bad or "as undisturbed")
        if not bad:
            shutil.rmtree(folder)
    for kill in total:
        yield place.name, kill, str(total[kill]), str(within[kill]), f"{wrong} runs of {number} in all" if wrong else "0"
    unsound = outlived = 0
    for number in range(takeovers):
        step = list(STEPS)[number % len(STEPS)]
        one = takeover(place, reference, work / f"{place.name}-takeover-{number}", step, draw)
        unsound += not one.sound
        outlived += one.outlived
        tell(place.name, f"takeover {number + 1}", one)
    if takeovers:
        yield place.name, "takeover", str(takeovers), f"{outlived} with the orphan last", str(unsound)


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
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--project", type=Path, default=PROJECT, help="another version of drank")
    asked = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="drank-torture-"))
    tell(f"in {work}")
    reference = work / "undisturbed"
    write_resumable(reference)
    Place(project=asked.project).finish(reference, TARGET)
    rows = []
    for name in asked.where:
        with place_named(name, asked.project) as place:
            rows += torture(place, reference, work, asked.kills, asked.takeovers, random.Random(f"{name} {asked.seed}"))
    tell("| where | what | times | in a resumable step's work | wrong |\n|---|---|---|---|---|")
    for row in rows:
        tell("| " + " | ".join(row) + " |")
    return int(any(row[-1] != "0" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
