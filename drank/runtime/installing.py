"""How drank is installed, as errors and cards say it: from where this one came, for no package index has it."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

PACKAGE = Path(__file__).parents[1]


def install(extra: str = "", options: str = "") -> str:
    """The command by which pip installs drank, or an extra of it, where errors tell what is missing."""
    named, origin = f"[{extra}]" if extra else "", _origin()
    wanted = f"drank{named} @ {origin}" if "://" in origin else f"{origin}{named}"
    in_place = ["-e"] if _in_clone() else []  # a copy would tell no commit, and not read what is edited in the clone
    return " ".join(["pip install", *([options] if options else []), *in_place, shlex.quote(wanted)])


def _in_clone() -> bool:
    return (PACKAGE.parent / "pyproject.toml").is_file()


def _origin() -> str:
    """The clone that this drank lies in or was installed from, or the address of a repository; its name where none of these is known."""
    if _in_clone():
        return str(PACKAGE.parent)
    with suppress(importlib.metadata.PackageNotFoundError):
        told = json.loads(importlib.metadata.distribution("drank").read_text("direct_url.json") or "{}")
        address = str(told.get("url", ""))
        if version_control := told.get("vcs_info"):
            return f"{version_control['vcs']}+{address}"
        place = Path(unquote(urlsplit(address).path))
        if address.startswith("file:") and place.exists():
            return str(place)
    return "drank"
