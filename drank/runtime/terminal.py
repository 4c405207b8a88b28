"""What a run says on the terminal: a line for every job that is done, how far the run is and how long it has to go.

Snakemake says half a dozen lines for every job, of which none names the time that it took or that is left. They go on standing in its own
log below `.snakemake/log`; errors and whatever else it says come through.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.runtime.log import duration, step_name

CHATTER = ("job_info", "group_info", "job_started", "job_finished", "progress", "resources_info")
"""The events of Snakemake that are about one job, or about what is done next."""

STORAGE = (
    "Retrieving from storage",
    "Finished retrieval",
    "Storing in storage",
    "Finished upload",
    "Removing local copy",
    "Skipped removing",
)
"""Those of a run whose results are in storage."""

ASIDE = ("Select jobs to execute", "Removing temporary output", *STORAGE)
"""How lines of Snakemake begin that tell nothing of how far a run is, and belong to no such event."""

SILENT = ("all",)
"""Rules that do nothing but collect others."""


CHANGED = re.compile(r"(Params have changed since last execution): (.*)", re.DOTALL)
NAMED = re.compile(r"(?:before: |now: |,)(\w+): ")
"""Where the reason for a job tells of changed parameters, and in that their names (`metadata.keep_notes` writes names and values)."""


class NamesAlone(logging.Filter):
    """Has Snakemake say which parameters changed, and not from what to what: hashes of code, and whole configurations."""

    def filter(self, record: Any) -> bool:
        """True, with the reason of a job in short; a filter of the logger, so that it holds for terminal, log file and dry runs."""
        if isinstance(reason := getattr(record, "reason", None), str) and (changed := CHANGED.search(reason)):
            names = ", ".join(dict.fromkeys(NAMED.findall(changed[2]))) or "their order"
            record.reason = f"{reason[: changed.start()]}{changed[1]}: {names}"
        return True


class Progress:
    """How far a run is, from the seconds that each of its jobs is expected to take by number, on so many jobs at once."""

    def __init__(self, expected: Mapping[int, float], total: float) -> None:
        """`total` is how long the whole run is expected to take."""
        self._expected, self._total, self._done = dict(expected), total, 0.0
        self._started = time.monotonic()
        self.finished = 0

    def __len__(self) -> int:
        """The number of jobs."""
        return len(self._expected)

    def finish(self, job: int) -> None:
        """Count a job as done."""
        self.finished += 1
        self._done += self._expected.get(job, 0.0)

    def to_go(self) -> float:
        """The seconds that are left: by what was expected at first, and more and more by how that held so far."""
        share, spent = self._done / (sum(self._expected.values()) or 1), time.monotonic() - self._started
        if share <= 0:
            return max(self._total - spent, 0.0)
        whole = share * (spent / share) + (1 - share) * self._total  # what it took so far, told forth, weighed by how much that is
        return whole * (1 - share)


class OneLine(logging.Filter):
    """Swallows what Snakemake says of single jobs, and says one line when a job is done; a filter of the handler that writes it."""

    def __init__(self, handler: Any, progress: Progress) -> None:
        super().__init__()
        self._handler, self._progress = handler, progress
        self._running: dict[int, tuple[str, float]] = {}

    def filter(self, record: Any) -> bool:
        """Whether Snakemake's own line is to be seen."""
        event = str(getattr(record, "event", "") or "")
        if event == "job_info":
            self._running[record.jobid] = (_name(record), time.monotonic())
        elif event == "job_finished":
            self._finish(record.job_id)
        return event not in CHATTER and not record.getMessage().startswith(ASIDE)

    def _finish(self, job: int) -> None:
        name, started = self._running.pop(job, ("", 0.0))
        if not name or name in SILENT:
            return
        self._progress.finish(job)
        done, total = self._progress.finished, len(self._progress)
        left = f", about {duration(self._progress.to_go())} to go" if done < total else ""
        say(self._handler, f"{name}: done in {duration(time.monotonic() - started)}; {done} of {total} steps{left}")


def _name(record: Any) -> str:
    """The words of a job's log file, as the job itself calls itself, whatever is said of its storage; without one the rule's name."""
    return step_name(Path(record.log[0].partition(" (")[0])) if record.log else str(record.rule_name)


def say(handler: Any, line: str) -> None:
    """Write a line where a handler writes."""
    handler.stream.write(f"{line}\n")
    handler.flush()


def quieten(logger: logging.Logger, progress: Progress) -> None:
    """Make Snakemake's handlers for the terminal say one line a job; those that write its log file are left alone."""
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.addFilter(OneLine(handler, progress))
