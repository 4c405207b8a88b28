"""One live run per folder, and steps that end with their run."""

import os
import socket
import subprocess
import sys
import time

import pytest

from drank.runtime.lock import RUN, FolderBusyError, claim

CLAIM = "import sys, time; from drank.runtime.lock import claim; claim(sys.argv[1]); print('claimed', flush=True); time.sleep(60)"
FOLLOW = "import time; from drank.runtime.lock import end_with_run; end_with_run(0.05); print('following', flush=True); time.sleep(20)"


def start(code: str, *arguments: str, **variables: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, env=os.environ | variables)
    assert process.stdout.readline()
    return process


def test_a_live_run_keeps_its_folder_and_a_killed_one_gives_it_up(tmp_path, monkeypatch):
    monkeypatch.setenv(RUN, "")
    other = start(CLAIM, str(tmp_path))
    with pytest.raises(FolderBusyError, match=rf"another run \(.*:{other.pid}\) is at work"):
        claim(tmp_path)
    other.kill()
    other.wait()
    claim(tmp_path)
    assert os.environ[RUN] == f"{socket.gethostname()}:{os.getpid()}"


def test_a_step_ends_soon_after_its_run(tmp_path):
    run = start(CLAIM, str(tmp_path))
    step = start(FOLLOW, **{RUN: f"{socket.gethostname()}:{run.pid}"})
    time.sleep(0.3)
    assert step.poll() is None
    run.kill()  # and not collected: a zombie must not count as alive
    assert step.wait(timeout=10) == 1
    run.wait()


def test_a_step_of_another_host_or_of_no_run_is_left_alone():
    for owner in ("elsewhere:1", ""):
        step = start(FOLLOW, **{RUN: owner})
        time.sleep(0.3)
        assert step.poll() is None
        step.kill()
        step.wait()
