"""Where a result comes from: code, packages, machine, date, time and memory taken."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from drank import __version__
from drank.runtime.device import cores, gpu_name
from drank.runtime.git_tree import git_state

PACKAGES = (
    "accelerate",
    "datasets",
    "lm_eval",
    "numpy",
    "pandas",
    "pyarrow",
    "safetensors",
    "scipy",
    "snakemake",
    "tokenizers",
    "torch",
    "transformers",
)
"""Distributions whose version can move a number; those not installed are left out of the record."""


def origin(device: str, threads: int, started: float) -> dict[str, Any]:
    """Where what is finished now comes from; `started` is the `time.perf_counter()` of the start.

    The date is that of the end, in UTC. Peak memory is that of the whole process so far, in bytes of host memory. `git` is None where
    drank is not run from a git tree, as from an archive of one.
    """
    return {
        **code_state(),
        "packages": packages(),
        "platform": platform.platform(),
        "machine": {"cpu": cpu_name(), "cores": cores(), "memory_bytes": memory(), "gpu": gpu_name(device)},
        "device": device,
        "threads": threads,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 3),
        "peak_memory_bytes": peak_memory(),
    }


def packages() -> dict[str, str]:
    """The versions of Python and of what it has of `PACKAGES`."""
    return {"python": platform.python_version(), **{name: found for name in PACKAGES if (found := version_of(name))}}


def code_state() -> dict[str, Any]:
    """The version of drank and the state of its git tree."""
    return {"drank": __version__, "git": git_state(Path(__file__).parent)}


def cpu_name() -> str:
    """The processor by the name that the system gives it."""
    if Path("/proc/cpuinfo").is_file():
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine() or "unknown"


def memory() -> int:
    """The memory of the machine, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def peak_memory() -> int:
    """The most host memory this process has held at once, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kibibytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def version_of(distribution: str) -> str | None:
    """The installed version of a distribution, None if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
