"""The cluster is what runs are meant to meet: nodes of other names, limits that hold, and nothing of it left when its process is killed."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.slurm import cluster as harness
from tests.slurm.cluster import Cluster


def test_jobs_run_on_nodes_of_other_host_names_with_processes_of_their_own(plain: Cluster) -> None:
    host, processes = plain.ask("srun", "sh", "-c", "hostname; readlink /proc/self/ns/pid").split()
    assert host in {"node1", "node2"}
    assert socket.gethostname() not in {"node1", "node2"}
    assert processes != str(Path("/proc/self/ns/pid").readlink())


def test_a_job_gets_no_more_than_it_asks_for(plain: Cluster) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        plain.ask("srun", "--nodes=1", "--gpus=3", "true")
    assert "configuration is not available" in refused.value.stderr
    with pytest.raises(subprocess.CalledProcessError):
        plain.ask("srun", "--mem=65000", "true")


def test_only_a_cluster_with_accounting_knows_past_jobs(plain: Cluster, accounted: Cluster) -> None:
    accounted.ask("srun", "--job-name=past", "true")
    end = time.monotonic() + 30
    while "past" not in accounted.ask("sacct", "-n", "-X", "-o", "JobName"):
        assert time.monotonic() < end
        time.sleep(0.5)
    with pytest.raises(subprocess.CalledProcessError):
        plain.ask("sacct")


def test_nothing_of_a_cluster_outlives_its_process(plain: Cluster, tmp_path: Path) -> None:
    hour = "3599.5"  # a duration that nobody else sleeps for
    script = f"sbatch --wrap 'sleep {hour}' && sleep 2 && touch {tmp_path}/up && sleep {hour}"
    command = [sys.executable, harness.__file__, "--", "sh", "-c", script]
    process = subprocess.Popen(command, cwd=tmp_path, env={"TMPDIR": str(tmp_path), "PATH": harness.PATH}, stdout=subprocess.DEVNULL)
    while not (tmp_path / "up").exists():
        assert process.poll() is None
        time.sleep(0.1)
    assert len(at_work(hour, str(tmp_path))) >= 5
    process.send_signal(signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 30
    while left := at_work(hour, str(tmp_path)):
        assert time.monotonic() < end, left
        time.sleep(0.1)


def at_work(*words: str) -> list[str]:
    """The command lines of all processes that have one of these words in theirs, zombies left out."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [line for line in lines if any(word in line for word in words)]
