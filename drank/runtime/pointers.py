"""Files that only say where the real ones are: what a clone without Git LFS leaves in place of large files."""

from __future__ import annotations

from pathlib import Path

_POINTER = b"version https://git-lfs"


def is_lfs_pointer(path: str | Path) -> bool:
    """Whether a file is a pointer of Git LFS and not what it points to."""
    with Path(path).open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER
