"""Pieces of a measurement: what was found on one text or one task, kept under all that decides it, so that it is measured once.

A folder holds the pieces of one model. They are no results of the workflow's, which Snakemake would remove before each job, and may be
removed at any time: what is not there is measured.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drank.runtime.files import read_json, remove, write_json
from drank.runtime.shares import WHOLE, Share

log = logging.getLogger(__name__)

MEASURED_BY = {
    "perplexity": ("drank.evaluation.losses", "drank.evaluation.reference", "drank.corpora.windows", "drank.evaluation.measured_model"),
    "continuations": ("drank.evaluation.continuations", "drank.corpora.windows", "drank.evaluation.measured_model"),
    "zeroshot": ("drank.evaluation.zeroshot", "drank.evaluation.measured_model"),
}
"""By kind the modules whose code decides what measuring finds; what is made of it, such as intervals and records, is made anew."""

SAME = ("code", "model", "packages")
"""What of a key is no choice of the configuration's: pieces under another of these are not asked for again."""


@dataclass(frozen=True)
class Piece:
    """What was found on a share of a text or task, as JSON holds it: the `key` is all that decides it, `took` what measuring it took."""

    key: Mapping[str, Any]
    share: Share
    found: dict[str, Any]
    took: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The piece as JSON-ready data."""
        return {"key": self.key, "share": str(self.share), "found": self.found, "took": self.took}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Piece:
        """The piece that `to_dict` gave."""
        return cls(data["key"], Share.named(data["share"]), data["found"], data["took"])


class Pieces:
    """The pieces in a folder; without a folder (None) nothing is found and nothing kept."""

    def __init__(self, folder: str | Path | None) -> None:
        """Nothing is read or written yet."""
        self._folder = None if folder is None else Path(folder)

    def find(self, key: Mapping[str, Any], share: Share = WHOLE) -> Piece | None:
        """The piece under a key; None where none is, or a damaged or foreign one, of which a warning tells."""
        if self._folder is None or not (path := self._folder / name_of(key, share)).is_file():
            return None
        try:
            return _read(path, key, share)
        except (ValueError, KeyError, TypeError, OSError) as error:
            log.warning("%s is not what was kept there (%s); it is measured again", path, error)
            return None

    def keep(self, piece: Piece) -> None:
        """Write a piece, whole or not at all."""
        if self._folder is not None:
            data = piece.to_dict()
            write_json(self._folder / name_of(piece.key, piece.share), data | {"sha256": digest_of(data)})

    def tidy(self, now: Mapping[str, Mapping[str, Any]]) -> None:
        """Remove what will not be asked for again: what is damaged, shares of what is there whole, and what other `SAME` decided.

        `now` says by kind what these are. Pieces under other settings stay, for whom the settings are set back.
        """
        for path in sorted(self._folder.glob("*.json")) if self._folder is not None else ():
            try:
                data = read_json(path)
                key, share = data["key"], Share.named(data["share"])
                _read(path, key, share)
                of_now = all(key[name] == now[key["kind"]][name] for name in SAME)
            except (ValueError, KeyError, TypeError, OSError):
                of_now = False
            if not of_now or (share != WHOLE and path.with_name(name_of(key, WHOLE)).is_file()):
                remove(path)


def _read(path: Path, key: Mapping[str, Any], share: Share) -> Piece:
    """The piece in a file; raises ValueError where it is another than is asked for, or not as it was written."""
    data = read_json(path)
    told = data.pop("sha256")
    if told != digest_of(data):
        raise ValueError("its content has another hash than when it was written")
    if (path.name, data["key"], data["share"]) != (name_of(key, share), key, str(share)):
        raise ValueError("it is a piece of another measurement")
    return Piece.from_dict(data)


def name_of(key: Mapping[str, Any], share: Share) -> str:
    """The name of a piece's file."""
    part = "" if share == WHOLE else f".{share}"
    return f"{key['kind']}-{digest_of(key)[:24]}{part}.json"


def digest_of(data: Any) -> str:
    """The SHA-256 of what JSON can hold."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
