"""Where a measurement comes from: code, packages, machine, settings and inputs, as the `provenance` of its record."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from drank import __version__

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


def provenance(settings: Mapping[str, Any], inputs: Mapping[str, str], started: float, device: str, threads: int) -> dict[str, Any]:
    """The `provenance` of a record that is finished now.

    `inputs` maps what was read to its SHA-256 (see `file_hash`), `started` is the `time.perf_counter()` of the start. Peak memory is that
    of the whole process so far, in bytes of host memory. `git` is None where drank is not run from a git tree.
    """
    return {
        "drank": __version__,
        "git": git_state(Path(__file__).parent),
        "packages": {"python": platform.python_version(), **{name: found for name in PACKAGES if (found := _version(name))}},
        "platform": platform.platform(),
        "device": device,
        "threads": threads,
        "settings": dict(settings),
        "inputs": dict(inputs),
        "seconds": round(time.perf_counter() - started, 3),
        "peak_memory_bytes": peak_memory(),
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and dirty flag of the git tree that tracks `folder`; None without git, without a commit or where it is not tracked."""
    tracked = _git(folder, "ls-files", "--", ".")
    commit = _git(folder, "rev-parse", "HEAD")
    if not tracked or commit is None:
        return None
    return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain"))}


def peak_memory() -> int:
    """The most host memory this process has held at once, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kibibytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None where it cannot answer."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(distribution: str) -> str | None:
    """The installed version of a distribution, None if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
