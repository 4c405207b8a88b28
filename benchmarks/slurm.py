"""What a cluster adds to a run: `python -m benchmarks.slurm [--accounting] [--project FOLDER] [-- OPTIONS OF SNAKEMAKE]`, as root.

The tiny run of the tests from nothing, on this machine and on a SLURM that is started for it. A table says for each job how long it waited
in the queue, how long it took, and how much of that was its step's own work. The machine is one, so what jobs at once cost each other
counts in both. `--project` runs another version of drank, such as a checkout of an older commit; what it needs to work on a cluster
follows `--`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tests.slurm.cluster import Cluster
from tests.slurm.places import Place
from tests.workflow.runs import PROJECT, write_inputs

SUBMITTED = re.compile(r"SLURM jobid (\d+) \(log: .*/(?:rule|group)_(\S+)/\d+\.log\)")


def finish(place: Place, inputs: Path, folder: Path) -> float:
    """Seconds that a run takes from nothing."""
    shutil.copytree(inputs, folder)
    started = time.perf_counter()
    place.finish(folder)
    return time.perf_counter() - started


def steps(folder: Path) -> dict[str, float]:
    """Seconds that each step of a run took, by its Snakemake benchmark: `calibrate tiny`."""
    root = folder / "results/benchmarks"
    files = {file.relative_to(root).with_suffix(""): file for file in root.rglob("*.tsv")}
    return {" ".join(name.parts): float(file.read_text().splitlines()[1].split()[0]) for name, file in files.items()}


def jobs(cluster: Cluster, folder: Path) -> Iterator[tuple[str, float, float]]:
    """Rule and wildcards, or group, of each job of a run, and the seconds it waited and ran, as SLURM noted them: whole ones."""
    names = {number: name.replace("/", " ") for number, name in SUBMITTED.findall((folder / "run.log").read_text())}
    for line in (cluster.folder / "jobs.txt").read_text().splitlines():
        noted = dict(field.split("=", 1) for field in line.split() if "=" in field)
        submitted, begun, ended = (datetime.fromisoformat(noted[f"{moment}Time"]) for moment in ("Submit", "Start", "End"))
        yield names.get(noted["JobId"], noted["JobId"]), (begun - submitted).total_seconds(), (ended - begun).total_seconds()


def main() -> None:
    """Time both runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounting", action="store_true")
    parser.add_argument("--project", type=Path, default=PROJECT)
    parser.add_argument("options", nargs="*", help="of Snakemake, on the cluster")
    asked = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="drank-benchmark-"))
    inputs = work / "inputs"
    inputs.mkdir()
    write_inputs(inputs)
    local = finish(Place(project=asked.project), inputs, work / "local")
    with Cluster(asked.accounting) as cluster:
        started = finish(Place(cluster, tuple(asked.options), asked.project), inputs, work / "slurm")
        rows = list(jobs(cluster, work / "slurm"))
    tell("| job | waited (s) | ran (s) |\n|---|---|---|")
    for name, waited, ran in rows:
        tell(f"| {name} | {waited:.0f} | {ran:.0f} |")
    ran = sum(seconds for *_, seconds in rows)
    for name, took, more in (("local", local, ""), ("SLURM", started, f" in {len(rows)} jobs, which ran {ran:.0f} s")):
        own = steps(work / name.lower())
        tell(f"{name}: {took:.0f} s for {len(own)} steps{more}; the steps themselves {sum(own.values()):.0f} s")
    tell(f"overhead: {started - local:.0f} s in all, {(started - local) / max(1, len(rows)):.1f} s a job")


def tell(line: str) -> None:
    """Print one line."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
