"""A clock waits for its device before and after, and in between on a GPU only marks places in its queue."""

from __future__ import annotations

import pytest
import torch

from drank.evaluation import clock
from drank.evaluation.clock import Clock


def test_on_a_processor_spans_are_those_of_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([1.0, 1.5, 3.5])
    monkeypatch.setattr(clock.time, "perf_counter", lambda: next(moments))
    found = Clock(torch.device("cpu"))
    found.mark()
    found.mark()
    assert found.spans() == [0.5, 2.0]


def test_on_a_gpu_marks_are_events_and_nothing_waits_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            self.place = -1

        def record(self, _: object) -> None:
            self.place = len(events)
            events.append("mark")

        def elapsed_time(self, later: Event) -> float:
            return 1000.0 * (later.place - self.place)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: None)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: events.append("synchronize"))
    found = Clock(torch.device("cuda"))
    for _ in range(2):
        events.append("work")
        found.mark()
    assert found.spans() == [2.0, 2.0], "milliseconds of events as seconds"
    assert events == ["synchronize", "mark", "work", "mark", "work", "mark", "synchronize"]
