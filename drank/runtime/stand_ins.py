"""What lies where a file should: pointers that git left, pages that a download saved, archives under another name."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

_FETCH = "fetch the file itself, by `drank run CONFIGURATION prefetch`, huggingface_hub or the hub's `resolve` address"
_SAVE = "load the model in the program that wrote it and save it with `save_pretrained`"
_POINTER = "pointer in place of the file: run `git {} in its repository, or " + _FETCH

_STARTS = (
    (rb"version https?://\S*git-lfs", "is a Git LFS " + _POINTER.format("lfs pull`")),
    (rb"/annex/objects/|\S*\.git/annex/", "is a git-annex " + _POINTER.format("annex get`")),
    (
        rb"(?i)\s*<(!doctype|html|head|\?xml|error)",
        f"is a web page in place of the file, as failed downloads leave it: {_FETCH}",
    ),
    (rb"PK\x03\x04|\x80[\x02-\x05]", f"is a pickle of torch or another archive, which drank does not read: {_SAVE}"),
    (rb"GGUF", "is a GGUF file, which drank reads as a model of its own: name it by `gguf` in place of `path`"),
    (rb"\x1f\x8b|\x28\xb5\x2f\xfd|BZh|\xfd7zXZ", "is compressed by gzip, zstd, bzip2 or xz: unpack it"),
    (rb"\Z", "is empty: fetch it again; a full disk or a stopped download leaves such a file"),
)
"""How files begin that lie in place of others, and what to say of them."""


def stand_in(path: str | Path) -> str | None:
    """What lies at a path in place of the file that should, and what to do; None where nothing known does."""
    return _told(path, _STARTS)


def pointer(path: str | Path) -> str | None:
    """The same of pointers alone: a text may begin in any other way."""
    return _told(path, _STARTS[:2])


def unreachable(path: Path) -> str | None:
    """Why a file cannot be read at all; None where it can."""
    try:
        if not path.exists() and path.is_symlink():
            return f"{path} is a link that leads to no file; correct it, or name the file itself"
        if not path.exists():
            return f"{path} does not exist"
        if not path.is_file():
            return f"{path} is {'a folder; name the files in it' if path.is_dir() else 'no regular file; save what it gives in one'}"
        if not os.access(path, os.R_OK):
            return f"{path} may not be read by this user; change its permissions"
        if not path.stat().st_size:
            return f"{path} is empty; put into it what it should hold, or leave it out"
        return f"{path} {told}" if (told := pointer(path)) else None
    except OSError as error:
        return f"{path} cannot be read ({error.strerror}); correct the path or its permissions"


def _told(path: str | Path, starts: Sequence[tuple[bytes, str]]) -> str | None:
    with Path(path).open("rb") as file:
        start = file.read(200)
    return next((told for pattern, told in starts if re.match(pattern, start)), None)
