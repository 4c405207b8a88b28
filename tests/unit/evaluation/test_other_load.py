"""Other work is what keeps busy the cores that this process may use and is not its own; several threads give way to it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.evaluation import other_load
from drank.evaluation.other_load import RELEVANT, Usage, crowded, settled

STAT = """cpu  99 99 99 99 99 99 99 99 99 99
cpu0 100 10 20 500 30 4 6 8 50 0
cpu1 200 0 0 900 0 0 0 0 0 0
cpu2 4000 0 0 0 0 0 0 0 0 0
intr 12 34
"""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of three cores, of which this process may use the first two; its clock counts in hundredths."""
    file = tmp_path / "stat"
    file.write_text(STAT)
    monkeypatch.setattr(other_load, "STAT", file)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda _: 100)
    monkeypatch.setattr(other_load, "processors", lambda: 2)
    return file


def test_busy_is_all_but_idle_and_waiting_of_the_cores_one_may_use_and_guests_count_once(machine: Path) -> None:
    assert Usage.now().busy == pytest.approx((100 + 10 + 20 + 4 + 6 + 8 + 200) / 100)


@given(own=st.floats(0, 20), other=st.floats(0, 20), elapsed=st.floats(0.1, 100))
def test_other_work_is_what_is_busy_beside_ones_own(own: float, other: float, elapsed: float) -> None:
    found = Usage(5.0, 7.0, 3.0).other(Usage(5.0 + elapsed, 7.0 + own + other, 3.0 + own))
    assert found == pytest.approx(other / elapsed, abs=1e-6)


def test_ticks_that_come_late_are_no_negative_load_and_what_is_not_told_is_unknown() -> None:
    assert Usage(0.0, 0.0, 0.0).other(Usage(1.0, 0.9, 1.0)) == 0.0
    assert Usage(0.0, None, 0.0).other(Usage(1.0, 1.0, 1.0)) is None


@pytest.mark.parametrize(
    ("other", "threads", "wrong"), [(0.05, 2, False), (0.2, 2, True), (1.0, 1, False), (1.2, 1, True), (None, 2, False)]
)
def test_a_machine_is_crowded_where_others_hold_cores_that_threads_need(other: float | None, threads: int, wrong: bool) -> None:
    assert crowded(other, threads, available=2) is wrong


def look(monkeypatch: pytest.MonkeyPatch, machine: Path, other: float) -> None:
    """While one looks for a second, others keep this many cores busy."""

    def pass_time(seconds: float) -> None:
        monkeypatch.setattr(other_load.time, "perf_counter", lambda: seconds)
        machine.write_text(STAT.replace("cpu1 200", f"cpu1 {200 + round(100 * other * seconds)}"))

    monkeypatch.setattr(other_load.time, "perf_counter", lambda: 0.0)
    monkeypatch.setattr(other_load.time, "process_time", lambda: 0.0)
    monkeypatch.setattr(other_load.time, "sleep", pass_time)


def test_beside_a_busy_neighbour_one_thread_times_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, machine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    look(monkeypatch, machine, 0.8)
    with caplog.at_level(logging.WARNING):
        assert settled(2, "cpu") == (1, pytest.approx(0.8))
    assert "other work keeps 0.8 of 2 cores busy" in caplog.text and "timed with one thread" in caplog.text


def test_on_an_idle_machine_all_threads_time(monkeypatch: pytest.MonkeyPatch, machine: Path, caplog: pytest.LogCaptureFixture) -> None:
    look(monkeypatch, machine, RELEVANT / 2)
    assert settled(2, "cpu") == (2, pytest.approx(RELEVANT / 2))
    assert not caplog.records


def test_one_thread_and_a_gpu_need_not_look(monkeypatch: pytest.MonkeyPatch, machine: Path) -> None:
    look(monkeypatch, machine, 2.0)
    monkeypatch.setattr(other_load.time, "sleep", pytest.fail)
    assert settled(1, "cpu") == (1, None) and settled(2, "cuda:1") == (2, None)


def test_where_the_system_does_not_say_nothing_changes(monkeypatch: pytest.MonkeyPatch, machine: Path) -> None:
    look(monkeypatch, machine, 2.0)
    monkeypatch.setattr(other_load, "STAT", machine.parent / "none")
    assert settled(2, "cpu") == (2, None)
