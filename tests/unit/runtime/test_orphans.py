"""A job that failed, or lost its run, leaves alone what may be another's."""

import asyncio

import pytest

from drank.runtime import orphans
from drank.runtime.belonging import RunGoneError
from drank.runtime.orphans import failing, spare_results
from drank.runtime.run import RUN, run_file


@pytest.fixture
def kind():
    """A class of jobs that does in the aftermath what Snakemake's does: note, then clean up after an error."""

    class Job:
        def __init__(self):
            self.done = []

        async def prepare(self):
            self.done.append("prepare")

        async def postprocess(self, store=True, error=False):
            self.done.append("note" if not failing.get() else "spare")
            if error:
                await self.cleanup(())

        async def cleanup(self, skipped):
            self.done.append("cleanup")

    spare_results(Job)
    spare_results(Job)  # the Snakefile may be read more than once in a process
    return Job


def test_a_job_that_failed_removes_and_notes_nothing(kind):
    job = kind()
    asyncio.run(job.postprocess(error=True))
    assert job.done == ["spare"] and not failing.get()
    asyncio.run(job.postprocess(False))
    assert job.done == ["spare", "note"]
    asyncio.run(job.cleanup(()))
    assert job.done[-1] == "cleanup", "Snakemake may have reasons of its own"


def test_a_job_whose_run_is_gone_does_not_even_prepare(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(RUN, "node1:7:1")
    (tmp_path / ".snakemake").mkdir()
    run_file(tmp_path).write_text("node2:8:1")
    job = kind()
    with pytest.raises(RunGoneError):
        asyncio.run(job.prepare())
    assert job.done == []
    run_file(tmp_path).write_text("node1:7:1")
    asyncio.run(job.prepare())
    assert job.done == ["prepare"]


def test_snakemake_has_what_is_wrapped():
    """Wrapped methods of a pinned version; another must be looked at before the pin moves."""
    import inspect

    from snakemake.jobs import Job

    assert "error" in inspect.signature(Job.postprocess).parameters
    assert inspect.iscoroutinefunction(Job.prepare) and inspect.iscoroutinefunction(Job.cleanup)
    source = inspect.getsource(Job.postprocess)
    assert "persistence.finished(self)" in source and "await self.cleanup(" in source
    assert orphans.failing.get() is False
