"""What a call takes as text: files, text itself, a corpus that drank knows, a data set of the hub, or an entry as in a configuration."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drank.corpora.embedded import EMBEDDED, SPLITS
from drank.runtime.files import write_text
from drank.runtime.home import expanded
from drank.runtime.suggestions import near

Text = str | Path | Mapping[str, Any]

SHORTEST = 200
"""Characters above which a string without a line break is text itself rather than the name of something."""

HUB = "hub:"
HUB_KEYS = ("subset", "split", "field", "revision", "join")

FIELD = ",field="
"""What stands between a file and the name of the field in it that holds the text."""


def listed(text: Text | Sequence[Text] | None) -> list[Text]:
    """One text or several as a list."""
    if text is None:
        return []
    return [text] if isinstance(text, (str, Path, Mapping)) else list(text)


def corpus_of(texts: Sequence[Text], split: str | None, default: str, folder: Path) -> tuple[dict[str, Any], str]:
    """The entry under `corpora` that these texts together mean, and the split of it to read.

    Files and strings are joined in their order; what is text itself is written into `folder`. Raises ValueError for a corpus or data set
    beside anything else and for files with several fields, FileNotFoundError naming every text that is nothing drank can read.
    """
    named = [text for text in texts if _is_named(text)]
    if named and len(texts) > 1:
        raise ValueError(
            f"text: {named[0]!r} is a whole corpus and stands alone; {len(texts)} texts were given. Files and strings can be joined"
        )
    if named:
        return _named(named[0], split, default)
    wanted = split or default
    whole, fields = [_apart(text)[0] for text in texts], list(dict.fromkeys(_apart(text)[1] for text in texts))
    missing = [str(text) for text in whole if not _is_text(text) and not _is_file(text)]
    if missing:
        hints = ", ".join(f"{name!r}{near(name, EMBEDDED)}" for name in missing)
        raise FileNotFoundError(
            f"text: {hints}: there is no such file, and no such corpus (known: {', '.join(EMBEDDED)}); a data set of the hub is written "
            f"`{HUB}org/name`, and what is text itself has a line break or more than {SHORTEST} characters"
        )
    if len(fields) > 1:
        told = " and ".join(field or "text" for field in fields)
        raise ValueError(f"text: what is joined has its text in one field, and not in {told}; name it behind each file: FILE{FIELD}NAME")
    return {"files": {wanted: [_file(text, folder) for text in whole]}, **({"field": fields[0]} if fields[0] is not None else {})}, wanted


def label_of(text: Text, number: int) -> str:
    """What tables call this text: the stem of a file, the name of a corpus or data set, else `text` with its number."""
    if isinstance(text, Mapping):
        name = str(text.get("hub", text.get("embedded", "")))
    elif isinstance(text, str) and _is_text(_apart(text)[0]):
        name = ""
    else:
        name = str(text).partition(",")[0].removeprefix(HUB) if str(text).startswith(HUB) else Path(str(_apart(text)[0])).stem
    return label(name.rpartition("/")[2]) or f"text-{number}"


def label(name: str) -> str:
    """A name as a configuration allows it: 100 letters, digits, dots, dashes and underscores; empty where nothing is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-")[:100]


def _apart(text: Text) -> tuple[Text, str | None]:
    """A file and the field that holds its text, where FILE,field=NAME names one; any other text as it is."""
    file, named, field = text.rpartition(FIELD) if isinstance(text, str) else ("", "", "")
    return (file, field) if named and _is_file(file) and not _is_file(text) else (text, None)


def _is_text(text: Text) -> bool:
    return isinstance(text, str) and ("\n" in text or len(text) > SHORTEST) and not _is_file(text)


def _is_file(text: Text) -> bool:
    try:
        return expanded(str(text)).is_file()
    except (OSError, ValueError):  # too long for a name, or with characters that none has
        return False


def _is_named(text: Text) -> bool:
    return isinstance(text, Mapping) or (isinstance(text, str) and not _is_text(text) and (text in EMBEDDED or text.startswith(HUB)))


def _named(text: Text, split: str | None, default: str) -> tuple[dict[str, Any], str]:
    if isinstance(text, Mapping):
        return dict(text), split or default
    if text in EMBEDDED:
        return {"embedded": text}, split or (default if default in SPLITS[text] else SPLITS[text][0])
    name, *pairs = str(text).removeprefix(HUB).split(",")
    options = dict(pair.partition("=")[::2] for pair in pairs)
    if unknown := options.keys() - set(HUB_KEYS):
        raise ValueError(f"text {text!r}: {', '.join(sorted(unknown))} is unknown; after the data set's id come {', '.join(HUB_KEYS)}")
    theirs = options.pop("split", split or default)
    return {"hub": name, "splits": {split or default: theirs}, **options}, split or default


def _file(text: Text, folder: Path) -> str:
    """The file that holds a text: its own, or one in the folder that is named by what it says."""
    if not _is_text(text):
        return str(expanded(str(text)).resolve())
    path = folder / f"text-{hashlib.sha256(str(text).encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.txt"
    if not path.is_file():
        write_text(path, str(text))
    return str(path.resolve())
