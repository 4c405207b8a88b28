"""A job that was to follow another is left out where the other has made what was there before.

Snakemake decides what to make again before it makes anything, and takes all that follows from that for outdated. Whether it is shows when
the job could start: if parameters, inputs and results are by content those that were noted, the results stand.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from drank.runtime.databases import refuse_database


def leave_out_unchanged(kind: Any) -> None:
    """From now on let Snakemake's class of schedulers, `kind`, leave out such jobs; `metadata.keep_notes` comes first.

    A run that keeps no such notes, but its own in a database, is refused.
    """
    if hasattr(kind, "drank_run"):
        return
    refuse_database()
    run = kind.drank_run = kind.run

    @functools.wraps(run)
    def run_what_has_changed(scheduler: Any, jobs: Sequence[Any], executor: Any = None) -> None:
        workflow = scheduler.workflow
        real = workflow.is_main_process and not (scheduler.dryrun or scheduler.touch)
        stand = [job for job in jobs if real and not job.is_group() and workflow.async_run(_stands(workflow, job))]
        for job in stand:
            job.log_info()
            scheduler.finish_callback(job)
        run(scheduler, [job for job in jobs if job not in stand], executor)

    kind.run = run_what_has_changed


async def _stands(workflow: Any, job: Any) -> bool:
    """Whether the results of a job are what it would make, and nobody asked for them to be made anew."""
    notes = workflow.persistence
    if not job.output or workflow.dag.reason(job).forced or any(file.is_storage for file in [*job.input, *job.output]):
        return False
    notes._clear_cache()  # which holds what was noted before jobs of this run were done
    for file in job.output:
        if not await file.exists() or not notes.metadata(file) or not await notes.drank_notes.holds(notes, job, file):
            return False
    changed = (notes.input_changed, notes.code_changed, notes.software_stack_changed)
    if notes.params_changed(job) or any(any(found(job)) for found in changed):
        return False
    for file in job.input:
        known = notes.input_checksums(job, file)
        if len(known) != 1 or not await file.is_same_checksum(known.pop(), notes.max_checksum_file_size):
            return False
    return True
