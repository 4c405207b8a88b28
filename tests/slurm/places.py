"""Where a run can be: on this machine alone, or with a SLURM to give its jobs to; started, killed and looked at in the same way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.slurm.cluster import Cluster
from tests.workflow.runs import PROJECT, environment

QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1", "--default-resources", "runtime=30")
PATIENCE = 1200.0  # seconds in which a run must be done


@dataclass(frozen=True)
class Place:
    """One way to run the pipeline: `cluster` is None for this machine alone; `options` are Snakemake's."""

    cluster: Cluster | None = None
    options: tuple[str, ...] = ()
    project: Path = PROJECT

    @property
    def name(self) -> str:
        """What tables call it."""
        return "local" if self.cluster is None else "slurm"

    def command(self, folder: Path, *arguments: str) -> list[str]:
        """What to start for a run in a folder."""
        # A run ends with the tests, and heeds what a terminal sends even where they were told not to.
        snakemake = ["setpriv", "--pdeathsig", "KILL", "env", "--default-signal"]
        snakemake += [sys.executable, "-m", "snakemake", "-s", str(self.project / "Snakefile")]
        snakemake += [*arguments, "--configfile", "config.yaml", *self.options]
        if self.cluster is None:
            return [*snakemake, "--cores", "2"]
        return self.cluster.command(*snakemake, "--workflow-profile", "slurm", "--jobs", "8", folder=folder)

    def start(self, folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start a run in a folder and a session of its own; what it prints is appended to `run.log` there."""
        with (folder / "run.log").open("ab") as log:
            return subprocess.Popen(
                self.command(folder, *arguments),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment() | {"OMP_NUM_THREADS": "1"} | variables,
                start_new_session=True,
            )

    def finish(self, folder: Path, *arguments: str) -> None:
        """Run to the end; an AssertionError with the end of what was printed where it fails, or has not ended after PATIENCE."""
        run = self.start(folder, *arguments)
        try:
            code: int | str = run.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            code = f"no end after {PATIENCE:.0f} s"
        assert code == 0, f"{code}\n{(folder / 'run.log').read_text('utf-8', 'replace')[-6000:]}"

    def steps(self, main: int) -> list[int]:
        """The process numbers of the local steps of a run: all that descends from its main process."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(stat.parent.name)] = int(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
        found = [main]
        for process in found:
            found += [child for child, parent in parents.items() if parent == process]
        return found[1:]

    def cancel(self, main: int) -> None:
        """End all jobs but not the run: by scancel, or by SIGKILL of the steps where there is no scheduler."""
        if self.cluster is not None:
            self.cluster.ask("scancel", "--user", "root")
            return
        for process in self.steps(main):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def at_work(self, main: int) -> set[int]:
        """The steps of a run that are there now: numbers of jobs, or of processes where there is no scheduler."""
        return {int(job) for job in self.cluster.ask("squeue", "-h", "-o", "%i").split()} if self.cluster else set(self.steps(main))

    def remain(self, steps: set[int]) -> set[int]:
        """Those of some steps that have not ended."""
        return self.at_work(0) & steps if self.cluster else {step for step in steps if Path(f"/proc/{step}").exists()}
