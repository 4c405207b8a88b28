"""The NVIDIA GPUs of this machine that jobs can have, told without torch, and one of them for each job."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TextIO

from drank.runtime.lock import FolderBusyError, locked

DRIVER = Path("/proc/driver/nvidia/gpus")
"""Where the driver lists them."""

VISIBLE = "CUDA_VISIBLE_DEVICES"

NONE = ("-1", "NoDevFiles")
"""What ends the list of them: no GPU, as people and as SLURM say it."""

_taken: list[TextIO] = []


def gpus_for(device: str) -> list[str]:
    """The GPUs that jobs on a device can have here, as `CUDA_VISIBLE_DEVICES` names them; none where torch was built for CPUs.

    `device` is that of the configuration: `cpu` has none, `cuda:1` that one, `auto` and `cuda` all that this process may see.
    """
    if device == "cpu" or _for_cpus():
        return []
    seen = os.environ.get(VISIBLE)
    found = [str(number) for number in range(_count())] if seen is None else [name.strip() for name in seen.split(",") if name.strip()]
    found = list(itertools.takewhile(lambda name: name not in NONE, found))
    return found[:1] if ":" in device else found


def take(folder: str | Path, device: str) -> None:
    """Let this process, and what it starts, see one of several GPUs alone: one that no other process has taken by this folder.

    Where all are taken, they are shared as they come.
    """
    found = gpus_for(device)
    if len(found) < 2:
        return
    for name in found:
        try:
            _taken.append(locked(Path(folder) / f"gpu-{name.replace('/', '_')}.lock", Path(folder)))
        except FolderBusyError:
            continue
        os.environ[VISIBLE] = name
        return


def _for_cpus() -> bool:
    try:
        return version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return True


def _count() -> int:
    if DRIVER.is_dir():
        return len(list(DRIVER.iterdir()))
    tool = shutil.which("nvidia-smi")  # where a system has no such folder, as below Windows
    told = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False).stdout if tool else ""
    return sum(line.startswith("GPU ") for line in told.splitlines())
