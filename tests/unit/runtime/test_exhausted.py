"""An error for want of a GPU's memory says what to lower, in a run and in a call; no other error says so."""

from __future__ import annotations

import traceback

import pytest
import torch

from drank.calls import work
from drank.calls.work import Work
from drank.runtime.exhausted import LOWER, advise
from tests.unit.calls.test_work import steps, tasks
from tests.unit.runtime.test_log import run

__all__ = ["steps"]


@pytest.mark.parametrize(("rule", "named"), [("calibrate", "`calibration`"), ("throughput", "`prompt` of `throughput`"), ("spectrum", "")])
def test_what_to_lower_is_that_of_the_step(rule, named):
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    advise(error, rule)
    (note,) = error.__notes__
    assert note.startswith(f"the step {rule} needs more memory than the GPU has free: ") and named in note
    assert ("lower" in note) == (rule in LOWER) and "device: cpu" in note and "are kept" in note


def test_other_errors_say_what_they_said():
    error = RuntimeError("CUDA error: device-side assert triggered")
    advise(error, "calibrate")
    assert not hasattr(error, "__notes__")


def test_a_step_of_a_run_says_it_on_the_terminal_and_in_its_log(tmp_path):
    ran, log = run(tmp_path, "import torch\nraise torch.OutOfMemoryError('CUDA out of memory.')")
    note = "the step calibrate needs more memory than the GPU has free: lower `batch`, then `length`, of `calibration`, or compute on a CPU"
    assert note in ran.stderr and note in log
    assert ran.stderr.splitlines()[-1] == "calibrate docs-mha failed (OutOfMemoryError); its log is logs/calibrate/docs-mha.log"


def test_a_step_of_a_call_says_it(steps, tmp_path, monkeypatch):
    def exhausted(*_given, **_told):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(work, "step_of", lambda rule: exhausted if rule == "tokenize" else steps.step_of(rule))
    with pytest.raises(torch.OutOfMemoryError) as raised:
        Work(tmp_path).carry_out({}, tasks())
    assert "the step tokenize needs more memory" in "".join(traceback.format_exception(raised.value))
    assert steps.ran == ["corpus"] and Work(tmp_path)._is_done(tasks()[0])
