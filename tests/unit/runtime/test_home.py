"""The home: what `~` means, and what becomes of caches where it cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drank.runtime.home import expanded, writable_caches
from tests.workflow.runs import write_inputs

NOWHERE = "/proc/nobodys-home"
"""Where not even root can write."""


def test_a_leading_tilde_is_the_home_and_that_of_nobody_a_name(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/a") == Path("/home/me/a")
    assert expanded("~nobody-has-this-name/a") == Path("~nobody-has-this-name/a")


def test_caches_stay_where_they_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    writable_caches(tmp_path / "run")
    assert "XDG_CACHE_HOME" not in os.environ


@pytest.mark.parametrize("home", [NOWHERE, ""])
def test_caches_go_to_the_run_where_they_cannot(tmp_path, monkeypatch, home):
    monkeypatch.setenv("HOME", home or NOWHERE)
    monkeypatch.setenv("XDG_CACHE_HOME", "" if home else "/proc/no-cache")
    writable_caches(tmp_path)
    assert os.environ["XDG_CACHE_HOME"] == str(tmp_path / ".snakemake" / "cache")


def test_what_the_hub_left_below_a_home_that_can_only_be_read_is_found(tmp_path, monkeypatch):
    (tmp_path / "huggingface").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.setattr("drank.runtime.home._writable", lambda folder: False)
    writable_caches(tmp_path / "run")
    assert os.environ["HF_HOME"] == str(tmp_path / "huggingface")
    del os.environ["HF_HOME"]


def test_drank_run_needs_no_home(tmp_path):
    write_inputs(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    here = {**os.environ, "HOME": NOWHERE, "PYTHONPATH": str(Path(__file__).parents[3])}
    here.pop("XDG_CACHE_HOME", None)
    command = [sys.executable, "-m", "drank", "run", "config.yaml", "-n", "--directory", "elsewhere"]
    told = subprocess.run(command, cwd=tmp_path, env=here, capture_output=True, text=True, check=False)
    assert told.returncode == 0 and "Traceback" not in told.stderr, told.stderr
    assert (tmp_path / "elsewhere" / ".snakemake" / "cache" / "snakemake").is_dir()
