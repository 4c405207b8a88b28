"""Long jobs first: which of the jobs that could begin should, so that no long one is left for a single core at the end.

A job is as urgent as the longest job that waits for it, itself among these (Graham's list scheduling, longest first, "Bounds on
multiprocessing timing anomalies", SIAM J. Appl. Math. 17, 1969). A model that takes seconds to make and minutes to measure is no more
urgent than a measurement, so that such models do not pile up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any


def urgency(expected: Mapping[int, float], followers: Mapping[int, Collection[int]]) -> dict[int, int]:
    """The seconds of the longest job among each job and all that wait for it, by number, from those that each is expected to take."""

    @cache
    def longest(job: int) -> float:
        return max([expected.get(job, 0.0), *map(longest, followers.get(job, ()))])

    return {job: round(longest(job)) for job in followers}


def hasten(dag: Any, expected: Mapping[int, float]) -> None:
    """Let Snakemake's scheduler start urgent jobs first; what the command line or its own rule prioritises stays before them.

    `expected` has the seconds of jobs by their number in `dag`; one that it has not is taken to last none.
    """
    jobs = {dag.jobid(job): job for job in dag.needrun_jobs()}
    followers = {number: [dag.jobid(other) for other in dag.depending[job] if dag.needrun(other)] for number, job in jobs.items()}
    for number, seconds in urgency(expected, followers).items():
        if dag.priority(jobs[number]) == jobs[number].rule.priority == 0:
            dag._priority[jobs[number]] = seconds
