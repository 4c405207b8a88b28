"""Whether a run's process lives, where the system has no `/proc` to tell."""

import os

import pytest

from drank.runtime import run
from drank.runtime.run import Run


@pytest.mark.parametrize(("error", "alive"), [(None, True), (PermissionError, True), (ProcessLookupError, False)])
def test_a_process_of_somebody_else_is_alive(monkeypatch, tmp_path, error, alive):
    """As on macOS, where another user may have got the number since."""

    def kill(process, number):
        assert (process, number) == (4711, 0)
        if error:
            raise error

    monkeypatch.setattr(run, "Path", lambda path: tmp_path / "none" / path.lstrip("/"))
    monkeypatch.setattr(os, "kill", kill)
    assert Run("here", 4711, "").alive() is alive
