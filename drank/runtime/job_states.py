"""Whom a SLURM is to be asked what became of a job: its queue, which forgets, or its accounts, which not every cluster keeps.

The executor for SLURM takes `sacct` wherever that command is installed. Where no accounts are kept that never answers, and where they are,
a job that was cancelled is one "CANCELLED by" somebody, which the executor does not know: a run would wait for ever. So it would for a job
that another has pushed aside, PREEMPTED, where the cluster does not put such jobs into the queue again: the executor leaves that to it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

REMEMBERED = 200
"""Seconds for which the queue must know jobs that have ended, for the executor asks every 180 seconds when nothing happens."""

LOOKS, SECONDS = 3, 60.0
"""How often in turn, and for how long, a job is found pushed aside before it counts as failed: one that comes back is pending at once."""


def ask_who_knows(settings: Any, warn: Any) -> None:
    """Set whom the executor with these settings asks: `squeue` where the queue remembers or there are no accounts, `sacct` where neither.

    Does nothing for other executors, and where SLURM cannot be asked how it is set up. `warn` gets a line where neither is to be relied on.
    """
    if not hasattr(settings, "status_command") or not (said := _configuration()):
        return
    remembers = int(said.get("MinJobAge", "0").split()[0]) >= REMEMBERED
    accounts = said.get("AccountingStorageType") not in ("accounting_storage/none", "(null)")
    settings.status_command = "squeue" if remembers or not accounts else "sacct"
    if not (remembers or accounts):
        warn(
            f"this cluster keeps no accounts, and its queue forgets jobs {said.get('MinJobAge')} after their end, so that a run may wait "
            f"for one that is over; stop it then and start it again, or have MinJobAge set to {REMEMBERED} or more"
        )


def _configuration() -> dict[str, str]:
    """What SLURM says of its configuration; empty where it cannot be asked."""
    try:
        said = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(re.findall(r"^(\w+)\s*=\s*(\S.*?)\s*$", said, re.MULTILINE))


def fail_preempted(executor: Any) -> None:
    """Have the executor for SLURM report a job as failed that was pushed aside and does not come back, so that it may be tried again.

    Does nothing for other executors.
    """
    plugin: Any = sys.modules[type(executor).__module__]
    query, check = getattr(plugin, "query_job_status", None), getattr(executor, "check_active_jobs", None)
    if query is None or check is None:
        return
    states: dict[str, str] | None = None  # of the last look, None where nobody answered
    aside: dict[str, tuple[int, float]] = {}  # looks in turn that found a job pushed aside, and the time of the first

    async def noted(*arguments: Any, **named: Any) -> Any:
        nonlocal states
        states, took = await query(*arguments, **named)
        return states, took

    def gone(number: str, known: Mapping[str, str]) -> bool:
        state = next((known[name] for name in (number, number.partition("_")[0]) if name in known), None)
        if state != "PREEMPTED" and (state is not None or number not in aside):  # the queue forgets a job that has ended
            aside.pop(number, None)
            return False
        looks, first = aside.get(number, (0, time.monotonic()))
        aside[number] = looks + 1, first
        return looks + 1 >= LOOKS and time.monotonic() - first >= SECONDS

    async def checked(jobs: Sequence[Any]) -> AsyncIterator[Any]:
        async for job in check(jobs):
            if states is None or not gone(job.external_jobid, states):
                yield job
                continue
            with suppress(OSError, subprocess.SubprocessError):  # should it come back after all, beside the one that takes its place
                subprocess.run(["scancel", job.external_jobid], capture_output=True, timeout=60, check=False)
            said = f"SLURM-job '{job.external_jobid}' failed, SLURM status is: 'PREEMPTED'."
            executor.report_job_error(job, msg=said, aux_logs=[str(job.aux["slurm_logfile"])] if job.aux.get("slurm_logfile") else [])

    plugin.query_job_status, executor.check_active_jobs = noted, checked
