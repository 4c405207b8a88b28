"""What a run says of a job that failed on a cluster: the scheduler's word, the step's error, and what to do."""

from types import SimpleNamespace

import pytest

from drank.runtime.cluster_errors import explain, tell_errors, why

SLURM = "SLURM-job '7' failed, SLURM status is: '{}'. Detailed failure reason unavailable."
REFUSED = """SLURM sbatch failed. The error message was 'sbatch: error: a
sbatch: error: b'.
    sbatch call:
        sbatch -t 10 --wrap="x"
"""


def step(rule, log="", restarts=0, attempt=1):
    asked = {"runtime": 240, "mem_mb": 8000}
    names = {"rule": SimpleNamespace(name=rule), "log": [str(log)] if log else [], "restart_times": restarts, "attempt": attempt}
    return SimpleNamespace(**names, resources=asked, is_group=lambda: False)


def group(*steps):
    return SimpleNamespace(toposorted=[[one] for one in steps], resources={"runtime": 250}, attempt=1, is_group=lambda: True)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("TIMEOUT", "it was given 240 minutes; raise compute.minutes where it runs a model, or --set-resources calibrate:runtime=MINUTES"),
        (
            "OUT_OF_MEMORY",
            "it was given 8000 MB; raise compute.memory_mb where it runs a model, or --set-resources calibrate:mem_mb=MEGABYTES",
        ),
        ("CANCELLED by 0", "somebody or the scheduler cancelled it"),
    ],
)
def test_a_state_in_which_no_step_can_speak_comes_with_what_to_do(state, told):
    said = why(SLURM.format(state), step("calibrate").resources, "calibrate")
    assert said == f"SLURM says {state.split()[0]}; {told}"


def test_a_refusal_is_told_without_the_program_that_was_to_run():
    said = why(REFUSED, {}, "corpus")
    assert said.startswith("sbatch refused it: a; b; ") and said.endswith("the call was sbatch -t 10")


def test_the_step_of_a_group_that_failed_is_named_with_its_error_and_its_log(tmp_path):
    logs = [tmp_path / f"logs/{rule}/tiny.log" for rule in ("source", "tokenize")]
    for log in logs:
        log.parent.mkdir(parents=True)
    logs[0].write_text("2026-01-01 00:00:00 INFO hashed\n")
    logs[1].write_text(
        '2026 CRITICAL tokenize tiny failed\nTraceback (most recent call last):\n  File "x"\ndrank.x.TooShortError: 3 tokens\n'
    )
    steps = [step(rule, log, restarts=1) for rule, log in zip(("source", "tokenize"), logs, strict=True)]
    assert explain(group(*steps), "7", SLURM.format("FAILED"), "7.log", since=0.0).splitlines() == [
        "source tiny, tokenize tiny: failed (SLURM job 7): SLURM says FAILED",
        "  tokenize tiny: drank.x.TooShortError: 3 tokens",
        f"  its log is {logs[1]}",
        "  it is tried once more, with more time and memory",
    ]
    later = logs[1].stat().st_mtime + 1
    assert "TooShortError" not in explain(group(*steps), "7", SLURM.format("TIMEOUT"), "7.log", since=later), (
        "the log of a run that is over"
    )


def test_what_a_job_cannot_be_submitted_for_is_its_failure():
    """As in the executor, whose own words about it fail for a group of jobs."""
    said, failed = [], []

    class Executor:
        def run_job(self, job):
            try:
                raise ValueError("the account nope is invalid")
            except ValueError:
                raise AttributeError("'GroupJob' object has no attribute 'rule'") from None

        def report_job_error(self, info, msg):
            self.print_job_error(info, msg)
            failed.append(info.job)

    executor, job = Executor(), group(step("corpus", "logs/corpus/words.log"))
    tell_errors(executor, said.append)
    executor.run_job(job)
    assert failed == [job]
    assert said == ["corpus words: failed (not submitted): the account nope is invalid"]
