"""A folder that is made in parts: what is made on the way is kept when the making is interrupted, and gone when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drank.runtime.files import remove, resuming


@contextmanager
def working(directory: str | Path, facts: Any) -> Iterator[tuple[Path, Path]]:
    """A folder for what is made on the way, and a path of which the files become `directory` when the block ends without an error.

    A later run with equal `facts` gets the first one as an interrupted run left it (`drank.runtime.files.resuming`).
    """
    with resuming(directory, facts) as whole:
        work, result = whole / "work", whole / "result"
        work.mkdir(exist_ok=True)
        yield work, result
        for file in result.iterdir():
            file.replace(whole / file.name)
        for folder in (result, work):
            remove(folder)
