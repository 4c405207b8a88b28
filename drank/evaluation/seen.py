"""Text that a model was made on, as its folder tells: by the hash of the text, under whatever name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from drank.compression.making import making_of
from drank.corpora.overlap import SeenTextError
from drank.corpora.windows import Tokens


def refuse_seen(directory: str | Path, texts: Iterable[Tokens]) -> None:
    """Raise SeenTextError naming every text that making the model in a folder read; nothing where the folder does not tell."""
    making = making_of(directory) or {}
    read = {facts["text_sha256"]: facts for facts in _texts([making.get("calibration"), making.get("texts")])}
    problems = [
        f"{text.corpus} is text that {directory} was made on ({read[text.text_sha256].get('corpus', 'its corpus')}, split "
        f"{read[text.text_sha256].get('split', 'unknown')})"
        for text in texts
        if text.text_sha256 in read
    ]
    if problems:
        raise SeenTextError(
            f"{'; '.join(problems)}, where what it keeps looks better than it is; measure it on another text, or say that this is meant "
            "(`seen=True`, `--seen`)"
        )


def _texts(node: Any) -> Iterator[dict[str, Any]]:
    """The facts of every text that is told of somewhere in JSON data."""
    if isinstance(node, dict) and "text_sha256" in node:
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _texts(part)
