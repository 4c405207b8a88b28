"""One live run per folder on whatever host, and jobs that end with their run."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from drank.runtime import claiming
from drank.runtime.belonging import RunGoneError, Watched, belong
from drank.runtime.claiming import claim
from drank.runtime.lock import FolderBusyError
from drank.runtime.run import RUN, Run, run_file, seen

CLAIM = "import sys, time; from drank.runtime.claiming import claim; claim(sys.argv[1]); print('claimed', flush=True); time.sleep(60)"
TOUCH = "import os, sys, time\nprint('on', flush=True)\nfor _ in range(40): time.sleep(0.2); os.utime(sys.argv[1])"
FOLLOW = (
    "import sys, time; from drank.runtime.belonging import end_with_run; "
    "end_with_run(0.05, sys.argv[1]); print('following', flush=True); time.sleep(20)"
)


def start(code: str, *arguments: str, **variables: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, env=os.environ | variables)
    assert process.stdout.readline()
    return process


@pytest.fixture(autouse=True)
def no_run(monkeypatch):
    """No run to belong to, and a beat that tests need not wait for."""
    monkeypatch.delenv(RUN, raising=False)
    monkeypatch.setattr(claiming, "BEAT", 0.05)
    monkeypatch.setattr(claiming, "SILENCE", 2.0)


def leave_run(folder, run: str) -> None:
    """A folder as a run leaves it that did not live to say so."""
    (folder / ".snakemake").mkdir()
    run_file(folder).write_text(run)


def test_a_run_reads_what_it_wrote_and_nothing_else():
    run = Run("node-1.cluster", 4711, "99")
    assert Run.read(str(run)) == run and run.name == "node-1.cluster:4711"
    assert Run.read("ended") is Run.read("") is None
    assert Run.this().here and Run.this().alive() and not run.here
    assert not Run(socket.gethostname(), os.getpid(), "1").alive(), "another process that got the same number"


def test_a_live_run_keeps_its_folder_and_a_killed_one_gives_it_up(tmp_path):
    other = start(CLAIM, str(tmp_path))
    with pytest.raises(FolderBusyError, match=rf"another run \(.*:{other.pid}\) is at work"):
        claim(tmp_path)
    other.kill()
    other.wait()
    claim(tmp_path)
    assert os.environ[RUN] == str(Run.this()) == run_file(tmp_path).read_text()


def test_a_live_run_keeps_its_folder_where_the_file_system_locks_nothing(tmp_path, monkeypatch):
    """Some clusters' file systems lock on one host alone, or not at all."""
    other = start(CLAIM, str(tmp_path))
    monkeypatch.setattr(claiming, "locked", lambda path, folder: path.open("a+"))
    with pytest.raises(FolderBusyError, match=rf":{other.pid}\) is at work"):
        claim(tmp_path)
    other.kill()
    other.wait()
    claim(tmp_path)


def test_a_run_on_another_host_keeps_its_folder_while_it_gives_signs_of_life(tmp_path, caplog):
    leave_run(tmp_path, "node1:7:1")
    touching = start(
        "import os, sys, time\nprint('on', flush=True)\nfor _ in range(40): time.sleep(0.2); os.utime(sys.argv[1])", str(run_file(tmp_path))
    )
    with pytest.raises(FolderBusyError, match=r"another run \(node1:7\)"):
        claim(tmp_path)
    assert "node1:7 was at work here" in caplog.text and "waiting up to" in caplog.text
    touching.kill()
    touching.wait()
    started = time.monotonic()
    claim(tmp_path)
    assert time.monotonic() - started > 1, "it was silent for long enough only now"
    assert seen(run_file(tmp_path))[0] == Run.this()


@pytest.mark.parametrize("left", ["ended", f"{socket.gethostname()}:1:1", "node1:7:1"])
def test_a_run_that_said_its_end_or_was_long_silent_is_not_waited_for(left, tmp_path):
    leave_run(tmp_path, left)
    os.utime(run_file(tmp_path), (0, 0))
    started = time.monotonic()
    claim(tmp_path)
    assert time.monotonic() - started < 1


def test_a_run_says_that_it_ended(tmp_path):
    code = "import sys; from drank.runtime.claiming import claim; claim(sys.argv[1]); print('claimed')"
    start(code, str(tmp_path)).wait()
    assert run_file(tmp_path).read_text() == "ended"


@pytest.mark.parametrize(("handler", "code"), [("default_int_handler", 7), ("SIG_IGN", -signal.SIGTERM)])
def test_a_run_touches_its_file_and_is_interrupted_when_another_has_taken_it(tmp_path, handler, code):
    program = (
        f"import signal, sys, time; signal.signal(signal.SIGINT, signal.{handler})\n"
        "from drank.runtime import claiming; claiming.BEAT = 0.05\n"
        "claiming.claim(sys.argv[1]); print('claimed', flush=True)\n"
        "try: time.sleep(30)\nexcept KeyboardInterrupt: sys.exit(7)"
    )
    run = start(program, str(tmp_path))
    touched = seen(run_file(tmp_path))[1]
    time.sleep(0.5)
    assert seen(run_file(tmp_path))[1] > touched
    run_file(tmp_path).write_text("node1:7:1")
    assert run.wait(timeout=10) == code
    assert run_file(tmp_path).read_text() == "node1:7:1", "it is not its own to mark any more"


def test_a_step_ends_soon_after_its_run(tmp_path):
    run = start(CLAIM, str(tmp_path))
    step = start(FOLLOW, str(tmp_path), **{RUN: run_file(tmp_path).read_text()})
    time.sleep(0.3)
    assert step.poll() is None
    run.kill()  # and not collected: a zombie must not count as alive
    assert step.wait(timeout=10) == 1
    run.wait()


def test_a_step_on_another_host_ends_when_its_run_is_silent_or_another_has_the_folder(tmp_path):
    leave_run(tmp_path, "node1:7:1")
    for replaced in (False, True):
        run_file(tmp_path).write_text("node1:7:1")
        step = start(FOLLOW, str(tmp_path), **{RUN: "node1:7:1"})
        for _ in range(10):
            time.sleep(0.1)
            os.utime(run_file(tmp_path))
            assert step.poll() is None
        if replaced:
            run_file(tmp_path).write_text("node2:8:1")
            assert step.wait(timeout=5) == 1
        else:
            step.kill()
            step.wait()


def test_a_run_is_gone_after_so_many_looks_that_see_nothing_new_and_not_while_nothing_can_be_seen(tmp_path, monkeypatch):
    leave_run(tmp_path, "node1:7:1")
    run = Run("node1", 7, "1")
    watched = Watched(run_file(tmp_path), run, patience=3)
    assert [watched.alive() for _ in range(5)] == [True, True, True, False, False]
    watched = Watched(run_file(tmp_path), run, patience=3)
    for look in range(9):
        os.utime(run_file(tmp_path), ns=(look, look))
        assert watched.alive() and watched.alive()
    run_file(tmp_path).write_text("ended")
    assert not watched.alive()
    watched = Watched(tmp_path / "elsewhere", run, patience=3)
    assert all(watched.alive() for _ in range(9)), "a folder that is not shared tells nothing"

    def stale(_file):
        raise OSError("stale file handle")

    watched = Watched(run_file(tmp_path), run, patience=3)
    monkeypatch.setattr("drank.runtime.belonging.seen", stale)
    assert all(watched.alive() for _ in range(9))


def test_a_step_of_no_run_is_left_alone(tmp_path):
    step = start(FOLLOW, str(tmp_path), **{RUN: ""})
    time.sleep(0.3)
    assert step.poll() is None
    step.kill()
    step.wait()


def test_a_job_does_not_begin_when_its_run_is_gone(tmp_path, monkeypatch):
    belong(tmp_path)  # nothing is known
    leave_run(tmp_path, "node1:7:1")
    belong(tmp_path)
    assert os.environ[RUN] == "node1:7:1", "what the scheduler did not hand on"
    belong(tmp_path)
    run_file(tmp_path).write_text("node2:8:1")
    with pytest.raises(RunGoneError, match=r"node1:7, is gone; node2:8 is at work here now$"):
        belong(tmp_path)
    run_file(tmp_path).write_text("ended")
    with pytest.raises(RunGoneError, match=r"node1:7, is gone$"):
        belong(tmp_path)
    dead = str(Run(socket.gethostname(), os.getpid(), "1"))
    run_file(tmp_path).write_text(dead)
    monkeypatch.setenv(RUN, dead)
    with pytest.raises(RunGoneError):
        belong(tmp_path)
