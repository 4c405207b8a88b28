"""What a job leaves alone when it fails or its run is gone: results may be those of a job that took its place.

Snakemake removes the results of a job before it runs and after it failed, and notes them as done either way. In the process of a job that
is no longer wanted, and does not know it yet, that would take away, or note as its own, what the next run's job has made since. Results
of drank are whole or absent, so that a job that fails has nothing to remove; its run, if it is there, removes and notes what it must.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Any

from drank.runtime.belonging import belong

failing: ContextVar[bool] = ContextVar("failing", default=False)
"""Whether what goes on is the aftermath of a job that failed in a process of its own."""


def spare_results(kind: Any) -> None:
    """From now on let jobs in this process, which is not the main one, spare results; `kind` is Snakemake's class `Job`."""
    if hasattr(kind, "drank_spares"):
        return
    kind.drank_spares = True
    prepare, postprocess, cleanup = kind.prepare, kind.postprocess, kind.cleanup

    @functools.wraps(prepare)
    async def prepare_if_wanted(job: Any) -> None:
        belong()
        await prepare(job)

    @functools.wraps(postprocess)
    async def postprocess_knowing(job: Any, *arguments: Any, error: bool = False, **others: Any) -> None:
        token = failing.set(error)
        try:
            await postprocess(job, *arguments, error=error, **others)
        finally:
            failing.reset(token)

    @functools.wraps(cleanup)
    async def cleanup_unless_failing(job: Any, *arguments: Any) -> None:
        if not failing.get():
            await cleanup(job, *arguments)

    kind.prepare, kind.postprocess, kind.cleanup = prepare_if_wanted, postprocess_knowing, cleanup_unless_failing
