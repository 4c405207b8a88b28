"""Whom a run asks for the state of its jobs, the queue where it remembers or the accounts, and which job is not to be waited for."""

import asyncio
import sys
from types import ModuleType, SimpleNamespace

import pytest

from drank.runtime import job_states
from drank.runtime.cluster_errors import tell_errors
from drank.runtime.job_states import ask_who_knows


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """A SLURM set up like this, as far as `scontrol show config` tells."""

    def write(age, accounts):
        said = f"Configuration data\nAccountingStorageType   = accounting_storage/{accounts}\nMinJobAge               = {age} sec\n"
        (tmp_path / "scontrol").write_text(f"#!/bin/sh\ncat <<'END'\n{said}END\n")
        (tmp_path / "scontrol").chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return write


@pytest.mark.parametrize(
    ("age", "accounts", "asked", "warned"),
    [
        (300, "none", "squeue", False),  # sacct never answers there
        (300, "slurmdbd", "squeue", False),  # of a cancelled job sacct says "CANCELLED by 0", which the executor takes for running
        (60, "slurmdbd", "sacct", False),
        (60, "none", "squeue", True),
    ],
)
def test_the_one_who_knows_is_asked(scontrol, age, accounts, asked, warned):
    scontrol(age, accounts)
    settings, said = SimpleNamespace(status_command="sacct"), []
    ask_who_knows(settings, said.append)
    assert settings.status_command == asked
    assert bool(said) == warned and ("60 sec" in said[0] if warned else True)


def test_nothing_is_changed_where_slurm_cannot_be_asked_or_is_not_in_use(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = SimpleNamespace(status_command="sacct")
    ask_who_knows(settings, pytest.fail)
    ask_who_knows(None, pytest.fail)
    assert settings.status_command == "sacct"


class Executor:
    """Waits for every job, whatever the queue says, as the executor for SLURM does for one that is PREEMPTED."""

    def __init__(self):
        self.failed = []

    def run_job(self, job): ...

    def report_job_error(self, job, msg, aux_logs):
        self.failed.append((job.external_jobid, msg, aux_logs))

    async def check_active_jobs(self, jobs):
        await sys.modules[type(self).__module__].query_job_status("squeue", None)
        for job in jobs:
            yield job


@pytest.fixture
def left(monkeypatch):
    """The jobs that are waited for after looks at the queue that find these states, and what was reported of the others."""

    def look(*found, seconds=100):
        answers = iter(found)

        async def query(command, logger):
            answer = next(answers)
            return answer, None if answer is None else 0.1

        plugin = ModuleType("plugin_of_this_test")
        plugin.query_job_status = query
        monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
        monkeypatch.setattr(Executor, "__module__", plugin.__name__)
        now = [0]
        monkeypatch.setattr(job_states.time, "monotonic", lambda: now[0])
        executor, jobs = Executor(), [SimpleNamespace(external_jobid=number, aux={"slurm_logfile": f"{number}.log"}) for number in "78"]
        tell_errors(executor, print)

        async def after(jobs):
            return [job async for job in executor.check_active_jobs(jobs)]

        for number in range(len(found)):
            now[0] = number * seconds
            jobs = asyncio.run(after(jobs))
        return [job.external_jobid for job in jobs], executor.failed

    return look


def test_a_job_that_was_pushed_aside_and_does_not_come_back_has_failed(left):
    """It is tried again then, or told; the executor would wait for it for ever."""
    aside = {"7": "PREEMPTED", "8": "RUNNING"}
    assert left(aside, aside) == (["7", "8"], [])
    failed = [("7", "SLURM-job '7' failed, SLURM status is: 'PREEMPTED'.", ["7.log"])]
    assert left(aside, aside, aside) == (["8"], failed)
    assert left(aside, {"8": "RUNNING"}, {"8": "RUNNING"}) == (["8"], failed), "the queue has forgotten it"
    assert left(aside, aside, aside, seconds=10) == (["7", "8"], []), "so soon nobody knows"


def test_a_job_that_comes_back_is_waited_for(left):
    aside, back = {"7": "PREEMPTED", "8": "RUNNING"}, {"7": "PENDING", "8": "RUNNING"}
    assert left(aside, aside, back, aside, back) == (["7", "8"], [])
    assert left(aside, None, None, None) == (["7", "8"], []), "where nobody answers nothing is known"
    assert left({}, {}, {}, {}) == (["7", "8"], []), "which the queue does not know yet"


def test_the_executor_for_slurm_has_what_is_taken_hold_of():
    plugin = pytest.importorskip("snakemake_executor_plugin_slurm")
    assert callable(plugin.query_job_status) and callable(plugin.Executor.check_active_jobs)
    assert plugin.Executor.__module__ == plugin.__name__
