"""Local data of tasks whose paths `datasets` would take for something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MEANINGFUL = frozenset("[]{}*?!:")
"""What makes a pattern of a path for `datasets`, or an address."""


def by_plain_names(files: Any, folder: Path) -> Any:
    """The `data_files` of a definition, those that are there and whose paths would be misread by links with plain names in a folder."""
    if isinstance(files, dict):
        return {split: by_plain_names(own, folder / str(split)) for split, own in files.items()}
    if not isinstance(files, str):
        return [by_plain_names(own, folder / str(number)) for number, own in enumerate(files)]
    path = Path(files)
    if not MEANINGFUL & set(str(path.absolute())) or not path.is_file():
        return files
    target, link = path.resolve(), folder / f"data{path.suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    return str(link)
