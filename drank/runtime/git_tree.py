"""The commit of a git tree: as git tells it, and where git is missing or refuses, as its files do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

TRUSTED = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false")
"""For a tree of another owner, of which git else says nothing; code of it runs already, and its settings need not."""


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and dirty flag of the git tree that tracks `folder`; None without a commit or where it is not tracked.

    `dirty` is None where git is not there to compare, or refuses, and the commit is what the files below `.git` name.
    """
    tracked = _git(folder, "ls-files", "--", ".")
    if tracked is None:
        commit = _commit_in_files(folder.resolve())
        return None if commit is None else {"commit": commit, "dirty": None}
    commit = _git(folder, "rev-parse", "HEAD")
    if not tracked or commit is None:
        return None
    return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain"))}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None where it cannot answer; a hook's own repository, which its environment names, is not asked."""
    others = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *TRUSTED, "-C", str(folder), *arguments], capture_output=True, text=True, errors="replace", env=others, check=False
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _commit_in_files(folder: Path) -> str | None:
    """The commit that HEAD names in the files of the tree that tracks a folder; None where there is none, or they cannot be read."""
    tree = next((place for place in (folder, *folder.parents) if (place / ".git").exists()), None)
    if tree is None:
        return None
    try:
        place = _redirected(tree / ".git", "gitdir:")
        shared = _redirected(place / "commondir", "")
        if os.fsencode(folder.relative_to(tree)) + b"/" not in (place / "index").read_bytes():
            return None
        head = (place / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if loose := next((file for file in (place / name, shared / name) if file.is_file()), None):
            return loose.read_text("utf-8").strip()
        packed = [line.split(" ", 1) for line in (shared / "packed-refs").read_text("utf-8").splitlines() if line[:1] not in "#^"]
    except (OSError, ValueError):
        return None
    return next((commit for commit, other in packed if other == name), None)


def _redirected(path: Path, before: str) -> Path:
    """The folder that a path is, or that a file there names, as those of worktrees and submodules do; its own where it is not there."""
    if path.is_file():
        return (path.parent / path.read_text("utf-8").removeprefix(before).strip()).resolve()
    return path if path.is_dir() else path.parent
