"""What a run says: one line a job, how far it is, and everything of Snakemake's that is not about a single job."""

import io
import logging

import pytest

from drank.runtime import terminal
from drank.runtime.terminal import NamesAlone, Progress, quieten


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

    monkeypatch.setattr(terminal.time, "monotonic", lambda: Clock.now)
    return Clock


@pytest.fixture
def said(tmp_path):
    """A logger as Snakemake's is: one handler for the terminal, one for its log file."""
    logger = logging.Logger("snakemake")
    screen, file = io.StringIO(), tmp_path / "log"
    logger.addHandler(logging.StreamHandler(screen))
    logger.addHandler(logging.FileHandler(file))
    return logger, screen, file


def start(logger, job, rule, log=()):
    logger.info("Job %s", job, extra={"event": "job_info", "jobid": job, "rule_name": rule, "log": list(log)})


def finish(logger, job):
    logger.info("Finished jobid: %s", job, extra={"event": "job_finished", "job_id": job})


def test_a_finished_job_is_one_line_with_its_name_and_time(said, clock):
    logger, screen, file = said
    quieten(logger, Progress({1: 10.0, 2: 30.0}, total=40.0))
    logger.info("Select jobs to execute...")
    logger.info("Execute 1 jobs...", extra={"event": "job_started"})
    start(logger, 1, "compress", ["results/logs/compress/tiny/d-rank/0.3.log"])
    clock.now = 10.0
    finish(logger, 1)
    logger.info("1 of 3 steps", extra={"event": "progress"})
    start(logger, 2, "report")
    clock.now = 70.0
    finish(logger, 2)
    assert screen.getvalue().splitlines() == [
        "compress tiny d-rank 0.3: done in 10 s; 1 of 2 steps, about 30 s to go",
        "report: done in 1 min 0 s; 2 of 2 steps",
    ]
    assert len(file.read_text().splitlines()) == 7, "Snakemake's own log has all that it says"


def test_errors_and_whatever_is_not_about_one_job_come_through(said, clock):
    logger, screen, _ = said
    quieten(logger, Progress({1: 1.0}, total=1.0))
    logger.warning("a model is left out")
    logger.error("Error in rule compress", extra={"event": "job_error"})
    logger.info("Nothing to be done")
    assert screen.getvalue().splitlines() == ["a model is left out", "Error in rule compress", "Nothing to be done"]


def test_rules_that_only_collect_are_no_steps(said, clock):
    logger, screen, _ = said
    quieten(logger, Progress({1: 1.0}, total=1.0))
    start(logger, 0, "all")
    finish(logger, 0)
    finish(logger, 99)  # a job that was never announced
    assert screen.getvalue() == ""


def test_time_to_go_follows_what_was_expected_at_first_and_what_happened_later(clock):
    progress = Progress(dict.fromkeys(range(10), 1.0), total=100.0)
    assert progress.to_go() == 100.0
    clock.now = 20.0
    assert progress.to_go() == 80.0
    left = []
    for job in range(10):  # each takes 20 s, twice as long as expected
        progress.finish(job)
        left.append(progress.to_go())
        clock.now += 20.0
    assert left == sorted(left, reverse=True) and left[-1] == 0.0
    assert abs(left[7] - 40.0) < 10.0, "near the end it knows that 20 s a job are left"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("Missing output files: a, b: c", "Missing output files: a, b: c"),
        (
            "Forced; Params have changed since last execution: Union of exclusive params before and now across all output: "
            'before: code: "2f92" now: code: "74ef" ',
            "Forced; Params have changed since last execution: code",
        ),
        (
            "Params have changed since last execution: Union of exclusive params before and now across all output: "
            'before: config: {"ratios": [0.2], "x": "y"},code: "a" now: code: "b",timings: ["c"] ',
            "Params have changed since last execution: config, code, timings",
        ),
        (
            "Params have changed since last execution: Union of exclusive params before and now across all output: "
            "before: <nothing exclusive> now: <nothing exclusive> ",
            "Params have changed since last execution: their order",
        ),
    ],
)
def test_why_a_job_runs_is_said_without_hashes_and_configurations(reason, told):
    record = logging.makeLogRecord({"event": "job_info", "reason": reason})
    assert NamesAlone().filter(record) and record.reason == told
    assert NamesAlone().filter(logging.makeLogRecord({"msg": "a line of no job"}))
