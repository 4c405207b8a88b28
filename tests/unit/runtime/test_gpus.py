"""Jobs on a machine with several GPUs have one each; how many there are is told without torch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from drank.runtime import gpus
from drank.runtime.gpus import VISIBLE, gpus_for, take


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """Three GPUs as the driver lists them, and a torch that can use them."""
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setattr(gpus, "version", lambda _: "2.13.0+cu130")
    monkeypatch.setattr(gpus, "DRIVER", tmp_path / "driver")
    for name in ("0000:01:00.0", "0000:02:00.0", "0000:03:00.0"):
        (tmp_path / "driver" / name).mkdir(parents=True)
    monkeypatch.setattr(gpus, "_taken", [])


@pytest.mark.parametrize(
    ("device", "seen", "found"),
    [
        ("auto", None, ["0", "1", "2"]),
        ("cuda", "1,2", ["1", "2"]),
        ("cuda", "GPU-8c4,GPU-1f0", ["GPU-8c4", "GPU-1f0"]),
        ("cuda:1", None, ["0"]),
        ("auto", "", []),
        ("auto", "0,-1,2", ["0"]),
        ("auto", "NoDevFiles", []),
        ("cpu", None, []),
    ],
)
def test_gpus_that_jobs_can_have(device, seen, found, monkeypatch):
    if seen is not None:
        monkeypatch.setenv(VISIBLE, seen)
    assert gpus_for(device) == found


def test_a_torch_for_cpus_has_none_and_below_windows_a_tool_says_how_many(tmp_path, monkeypatch):
    monkeypatch.setattr(gpus, "version", lambda _: "2.13.0+cpu")
    assert gpus_for("auto") == []
    monkeypatch.setattr(gpus, "version", lambda _: "2.13.0")
    monkeypatch.setattr(gpus, "DRIVER", tmp_path / "none")
    monkeypatch.setattr(gpus.shutil, "which", lambda _: None)
    assert gpus_for("auto") == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A (UUID: GPU-1)'\necho 'GPU 1: NVIDIA A (UUID: GPU-2)'\n")
    tool.chmod(0o755)
    monkeypatch.setattr(gpus.shutil, "which", lambda _: str(tool))
    assert gpus_for("auto") == ["0", "1"]


HOLD = "import sys; from drank.runtime.lock import locked; from pathlib import Path; kept = locked(Path(sys.argv[1]), Path()); "
HOLD += "print('held', flush=True); sys.stdin.read()"


@pytest.mark.parametrize(("one", "two", "file"), [("5", "6", "gpu-5.lock"), ("MIG-GPU-8/1/0", "MIG-GPU-8/2/0", "gpu-MIG-GPU-8_1_0.lock")])
def test_each_takes_one_that_no_other_process_has(one, two, file, tmp_path, monkeypatch):
    monkeypatch.setenv(VISIBLE, f"{one},{two}")
    other = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / file], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with other:
        assert other.stdout.readline().strip() == b"held"
        take(tmp_path, "auto")
        assert os.environ[VISIBLE] == two
        monkeypatch.setenv(VISIBLE, f"{one},{two}")
        take(tmp_path, "cuda")
        assert os.environ[VISIBLE] == f"{one},{two}", "both are taken: they are shared"
    take(tmp_path, "cuda")
    assert os.environ[VISIBLE] == one, "the other has ended"


def test_one_gpu_is_for_all(tmp_path, monkeypatch):
    monkeypatch.setenv(VISIBLE, "3")
    take(tmp_path, "auto")
    assert os.environ[VISIBLE] == "3" and not list(tmp_path.glob("*.lock"))
