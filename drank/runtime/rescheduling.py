"""One timer at a time that lets Snakemake's scheduler look again.

Each time the scheduler looks for jobs to start it sets a timer to look again in a second, for a limit on jobs a second may have held some
back. Every job that ends makes it look too, so that a run of two hundred jobs is looked at two hundred times a second in the end, which
takes a good part of a core from the jobs.
"""

from __future__ import annotations

import threading
from typing import Any


def look_again_once(kind: Any) -> None:
    """From now on let Snakemake's class of schedulers, `kind`, set a timer only where none is running."""
    lock = threading.Lock()

    def schedule(scheduler: Any, delay: float) -> None:
        def fire() -> None:
            with lock:
                scheduler.drank_timer = None
            scheduler._open_jobs.release()

        with lock:
            if getattr(scheduler, "drank_timer", None) is None:
                scheduler.drank_timer = threading.Timer(delay, fire)
                scheduler.drank_timer.daemon = True  # a run that is over need not wait for it
                scheduler.drank_timer.start()

    kind._schedule_reevalutation = schedule
