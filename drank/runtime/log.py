"""The log of one step: every line, warning and error of a workflow script, from before its first heavy import.

The log file gets everything, with times, and tracebacks of all errors that are not of drank's own kinds. The terminal gets what somebody
who waits wants to see: short lines of progress, and for an error that drank foresaw its message alone. Whatever a library prints goes to
the log, so that its bars and notices bury nothing.
"""

from __future__ import annotations

import faulthandler
import io
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sized
from pathlib import Path
from types import TracebackType
from typing import TextIO, TypeVar

from drank.runtime.belonging import end_with_run
from drank.runtime.exhausted import advise

T = TypeVar("T")

log = logging.getLogger(__name__)

PACKAGE = Path(__file__).parents[1]

BRIEF = {"brief": True}
"""What a log call gives as `extra` for a line that the log file gets and the terminal does not."""

QUIET = {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
"""Environment that keeps libraries from drawing progress bars; what the user has set stays."""


TIME = "%Y-%m-%d %H:%M:%S"


def start(log_path: str | Path, name: str | None = None) -> None:
    """Send logging, warnings, printed text and uncaught exceptions of this process to a new file at `log_path`, and progress to stderr.

    To be called before any import that can fail. `name` stands before each line on the terminal and defaults to the words of the path:
    `logs/allocate/docs-mha/0.2.log` is the step `allocate docs-mha 0.2`.
    """
    end_with_run()
    log_path = Path(log_path)
    name = name or step_name(log_path)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log_path.unlink(missing_ok=True)  # and not emptied: a process that has been taken over may still write into it
    for variable, value in QUIET.items():
        os.environ.setdefault(variable, value)
    terminal = sys.stderr
    file = logging.FileHandler(log_path, mode="w", encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", TIME))
    short = logging.StreamHandler(terminal)
    short.setFormatter(Short(name))
    short.addFilter(logging.Filter("drank"))
    short.addFilter(lambda record: not getattr(record, "brief", False))
    logging.basicConfig(level=logging.WARNING, handlers=[file, short], force=True)
    logging.getLogger("drank").setLevel(logging.INFO)
    logging.getLogger("printed").setLevel(logging.INFO)
    logging.captureWarnings(True)
    faulthandler.enable(terminal)
    sys.stdout = sys.stderr = _Lines(logging.getLogger("printed"), terminal)
    sys.excepthook = _Report(name, log_path, terminal)


def step_name(log_path: Path) -> str:
    """The words of a log path below its `logs` folder: which rule, of which model, method and ratio."""
    parts = log_path.with_name(log_path.name.removesuffix(".log")).parts
    return " ".join(parts[parts.index("logs") + 1 :] if "logs" in parts else parts[-1:])


def progress(items: Iterable[T], what: str, total: int | None = None, every: float = 5.0) -> Iterator[T]:
    """The items, one by one, with a line such as "block 3 of 8, 12 s done, 20 s to go" in the log as they are finished.

    A line is written for the first item, for the last one and between them at most every `every` seconds; the terminal, where somebody
    waits, gets only what takes longer than that. `total` is needed for the time to go where `items` has no length. An item counts as
    finished when the next one is asked for.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    started = written = time.monotonic()
    count = told = 0
    for count, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if count in (1, total) or now - written >= every:
            expected = (now - started) / count * (total or count)
            log.info("%s", _line(what, count, total, now - started), extra=BRIEF if expected < every else None)
            written, told = now, count
    if told != count:
        now = time.monotonic()
        log.info("%s", _line(what, count, total, now - started), extra=BRIEF if now - started < every else None)


def _line(what: str, count: int, total: int | None, seconds: float) -> str:
    if total is None:
        return f"{what} {count}, {duration(seconds)} done"
    left = f", {duration(seconds / count * (total - count))} to go" if count < total else ""
    return f"{what} {count} of {total}, {duration(seconds)} done{left}"


def duration(seconds: float) -> str:
    """A time as people say it: `12 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Short(logging.Formatter):
    """Lines for the terminal: the step, the level where it is a warning or worse, the message."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"{self._name}: {level}{record.getMessage()}"


class _Lines(io.TextIOBase):
    """A text stream whose lines become log records; of a line redrawn with carriage returns the last state is kept."""

    encoding = "utf-8"

    def __init__(self, logger: logging.Logger, original: TextIO) -> None:
        self._logger, self._original = logger, original
        self._pending, self._busy = "", False

    def write(self, text: str) -> int:
        if self._busy:  # the log itself cannot be written (a full disk) and logging says so
            return self._original.write(text)
        *lines, self._pending = (self._pending + text).split("\n")
        self._busy = True
        try:
            for line in lines:
                shown = line.rstrip("\r").rpartition("\r")[2].rstrip()
                if shown:
                    self._logger.info("%s", shown)
        finally:
            self._busy = False
        return len(text)

    def fileno(self) -> int:
        return self._original.fileno()


class _Report:
    """The exception hook of a step: all of an error in the log, and on the terminal as much as helps."""

    def __init__(self, name: str, log_path: Path, terminal: TextIO) -> None:
        self._name, self._log_path, self._terminal = name, log_path, terminal

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Report an uncaught exception; the last line says which step failed and where its log is."""
        advise(error, self._name.partition(" ")[0])
        if own(kind):
            logging.getLogger("failure").critical("%s failed: %s", self._name, error)
        else:
            logging.getLogger("failure").critical("%s failed", self._name, exc_info=(kind, error, trace))
        if not (isinstance(error, KeyboardInterrupt) or foreseen(error, trace)):
            traceback.print_exception(kind, error, trace, file=self._terminal)
        elif str(error):
            self._terminal.write(f"{self._name}: {error}\n")
        verb = "interrupted" if isinstance(error, KeyboardInterrupt) else f"failed ({kind.__name__})"
        self._terminal.write(f"{self._name} {verb}; its log is {self._log_path}\n")
        self._terminal.flush()


def own(kind: type[BaseException]) -> bool:
    """Whether a kind of error is drank's own, so that its words say all that there is to say."""
    return kind.__module__.startswith("drank.")


def foreseen(error: BaseException, trace: TracebackType | None) -> bool:
    """Whether an error is one that drank itself raised to tell the user of bad input."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = Path(trace.tb_frame.f_code.co_filename) if trace is not None else Path()
    known = isinstance(error, (ValueError, OSError, ImportError)) or own(type(error))
    return known and PACKAGE in raised_in.parents
