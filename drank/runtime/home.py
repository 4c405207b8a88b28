"""The home of who runs this: what `~` in a path means, and where programs keep their caches when it cannot be written."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """A path with the home in place of a leading `~`; where nobody has such a home, the path as it stands, of a file called so."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises RuntimeError there


def writable_caches(folder: str | Path) -> None:
    """Let programs of this process keep their caches in a run's folder where they cannot keep them below the home.

    Snakemake stops with a traceback where it cannot write there. What the hub's client has there already is still found.
    """
    place = expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    if place.is_absolute() and _writable(place):
        return
    if (place / "huggingface").is_dir():
        os.environ.setdefault("HF_HOME", str(place / "huggingface"))
    os.environ["XDG_CACHE_HOME"] = str(Path(folder).resolve() / ".snakemake" / "cache")


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
