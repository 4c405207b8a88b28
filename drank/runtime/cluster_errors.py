"""What a run says when one of its jobs fails on a cluster: what the scheduler said of it, what its steps said, and what to do.

There a step prints into a file of the scheduler's, with Snakemake's own words around it twice. And of jobs that are submitted as a group
Snakemake does not hand on what the scheduler said: a partition that does not exist, or a time that ran out, would go untold, and the
executor for SLURM loses the job altogether where it cannot submit it, for a wrong account: the run would wait for ever.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from drank.runtime.job_states import fail_preempted
from drank.runtime.log import step_name

REMEDIES = {
    "TIMEOUT": "it was given {runtime} minutes; raise compute.minutes where it runs a model, or --set-resources {rule}:runtime=MINUTES",
    "OUT_OF_MEMORY": "it was given {mem_mb} MB; raise compute.memory_mb where it runs a model, or --set-resources {rule}:mem_mb=MEGABYTES",
    "CANCELLED": "somebody or the scheduler cancelled it",
    "NODE_FAIL": "its node failed",
    "PREEMPTED": "another job took its place and the cluster does not bring it back; --slurm-requeue asks for that",
}
"""What there is to say of a job that ended in a state of SLURM's in which its steps could not say a word."""

REFUSED = re.compile(r"SLURM sbatch failed\. The error message was '(.*?)'\.\n\s*sbatch call:\n\s*(.*?)(?: --wrap|$)", re.DOTALL)
STATE = re.compile(r"SLURM status is: '(\w+)")
RAISED = re.compile(r"^[\w.]+(?:Error|Exception|Interrupt)\b.*", re.MULTILINE)


def why(said: str, asked: Mapping[str, Any], rule: str) -> str:
    """What the scheduler said of a job, in short, with what to do; `asked` are the job's resources, `rule` the one whose to change."""
    if refused := REFUSED.search(said):
        told = "; ".join(line.removeprefix("sbatch: error: ").strip() for line in refused[1].splitlines())
        return f"sbatch refused it: {told}; docs/cluster.md says how account, partition and limits are given\n  the call was {refused[2]}"
    state = STATE.search(said)
    if not state:
        return " ".join(said.split()) or "the scheduler says no more of it"
    known = {"runtime": "no", "mem_mb": "no", **asked, "rule": rule}
    return "; ".join([f"SLURM says {state[1]}", *([REMEDIES[state[1]].format(**known)] if state[1] in REMEDIES else [])])


def raised(log: Path, since: float) -> str:
    """The error with which the log of a step ends; empty where it has none, or was last written before a time, by a run that is over."""
    text = log.read_text("utf-8", "replace") if log.is_file() and log.stat().st_mtime >= since else ""
    _, failed, trace = text.rpartition(" CRITICAL ")
    found = list(RAISED.finditer(trace)) if failed else []
    return trace[found[-1].start() :].strip() if found else ""


def explain(job: Any, number: str | None, said: str, scheduler_log: str | None, since: float) -> str:
    """The lines about a failed job, or group of jobs, of Snakemake's, whose run began at the time `since`."""
    steps = [step for level in job.toposorted for step in sorted(level)] if job.is_group() else [job]
    logs = {step_name(Path(step.log[0])): Path(step.log[0]) for step in steps if step.log}
    place = f"SLURM job {number}" if number else "not submitted"
    lines = [f"{', '.join(logs)}: failed ({place}): {why(said, dict(job.resources.items()), steps[-1].rule.name)}"]
    errors = {name: error for name, log in logs.items() if (error := raised(log, since))}
    lines += [f"  {name}: {error}\n  its log is {logs[name]}" for name, error in errors.items()]
    if number and not errors and scheduler_log:
        lines.append(f"  no step has left an error; what the scheduler kept of it is {scheduler_log}")
    again = max(step.restart_times for step in steps) >= job.attempt
    return "\n".join([*lines, "  it is tried once more, with more time and memory"] if again else lines)


def tell_errors(executor: Any, say: Callable[[str], object]) -> None:
    """Have one of Snakemake's executors of remote jobs say this, in the place of what Snakemake says, when a job of its fails.

    An exception with which it cannot submit a job counts as the job's failure, and so does that the cluster pushed it aside for good.
    """
    since, submit = time.time(), executor.run_job

    def tell(info: Any, msg: str | None = None, aux_logs: list[str] | None = None, **_: Any) -> None:
        say(explain(info.job, info.external_jobid, msg or "", next(iter(aux_logs or []), None), since))

    def run(job: Any) -> None:
        try:
            submit(job)
        except Exception as error:  # noqa: BLE001 - it would end with the thread that submits, and nobody would know
            executor.report_job_error(SimpleNamespace(job=job, external_jobid=None), msg=str(error.__context__ or error))

    executor.print_job_error, executor.run_job = tell, run
    fail_preempted(executor)
