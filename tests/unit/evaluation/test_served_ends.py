"""How engines of vLLM end: by themselves, with what started them, or because nothing comes of them any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from drank.evaluation.served import runner
from drank.evaluation.served.runner import Served
from tests.unit.evaluation.test_served import model, serve

__all__ = ["model", "serve"]


def test_prompts_one_after_the_other_are_no_timing(serve: Callable[..., Served]) -> None:
    with pytest.raises(RuntimeError, match=r"some model: the process of vLLM ended with status 1(.|\n)*one in each step"):
        serve("one by one").round()


def test_an_engine_that_ends_says_its_last_words(serve: Callable[..., Served]) -> None:
    with pytest.raises(RuntimeError, match=r"status 3; its last lines:(.|\n)*\nout of memory, says the engine"):
        serve("dies").round()
    with pytest.raises(RuntimeError, match=r"status 1(.|\n)*no such model: .*model"):
        serve("refuses")


def test_an_engine_that_stands_still_is_given_up(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = serve("hangs")
    monkeypatch.setattr(runner, "LOOK", 0.4)
    monkeypatch.setattr(runner, "STILL", 3)
    with pytest.raises(RuntimeError, match=r"some model: the process of vLLM has done nothing for 1 s; its last lines"):
        stuck.round()


def test_an_engine_at_work_is_waited_for_and_says_so(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    busy = serve("works long", generate=1)
    monkeypatch.setattr(runner, "LOOK", 0.5)
    monkeypatch.setattr(runner, "STILL", 3)
    with caplog.at_level("INFO"):
        assert busy.round()[0] >= 2
    assert "some model: vLLM at work for 1 s" in caplog.text


def test_what_compilers_do_is_work_of_the_engine() -> None:
    busy = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    with subprocess.Popen([sys.executable, "-c", busy], start_new_session=True) as engine:
        try:
            for _ in range(600):
                if sum(map(runner._ticks, runner._with_children(engine.pid))) > 100 + runner._ticks(engine.pid):
                    break
                time.sleep(0.1)
            else:
                pytest.fail("a second of work of its child is not seen within a minute")
        finally:
            os.killpg(engine.pid, signal.SIGKILL)


def test_its_process_ends_with_it(serve: Callable[..., Served]) -> None:
    with closing(serve()) as served:
        place = Path(f"/proc/{served._process.pid}")
        assert place.exists()
    assert not place.exists() and served._process.returncode is not None


def test_it_ends_with_this_process_though_that_is_killed(serve: Callable[..., Served]) -> None:
    served = serve()
    assert served._process.stdin is not None
    served._process.stdin.close()  # as the system does for a process that is gone
    assert served._process.wait(20) == 1


def test_none_is_left_where_one_waits_no_longer(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def interrupted(self: Served, _: Any) -> None:
        begun.append(self._process)
        raise KeyboardInterrupt

    monkeypatch.setattr(Served, "_answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        serve()
    assert begun[0].returncode is not None
