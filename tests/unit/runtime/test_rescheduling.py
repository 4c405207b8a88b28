"""One timer at a time, whoever asks how often, and the next one once it has fired."""

import threading

from snakemake.scheduling.job_scheduler import JobScheduler

from drank.runtime.rescheduling import look_again_once


def test_this_snakemake_sets_its_timers_by_the_method_that_is_replaced():
    assert callable(JobScheduler._schedule_reevalutation)


def test_many_who_ask_get_one_look_and_may_ask_again():
    class Scheduler:
        def __init__(self):
            self._open_jobs = threading.Semaphore(0)

    look_again_once(Scheduler)
    scheduler = Scheduler()
    for _ in range(2):
        for _ in range(50):
            scheduler._schedule_reevalutation(0.05)
        assert scheduler._open_jobs.acquire(timeout=5)
        assert not scheduler._open_jobs.acquire(timeout=0.2), "the other 49 asked for the same"


def test_a_timer_does_not_keep_a_run_that_is_over():
    class Scheduler:
        _open_jobs = threading.Semaphore(0)

    look_again_once(Scheduler)
    scheduler = Scheduler()
    scheduler._schedule_reevalutation(60)
    assert scheduler.drank_timer.daemon
    scheduler.drank_timer.cancel()
