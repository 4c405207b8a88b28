"""Questions that documentation asks by itself: what comes after the place where a text is cut."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from drank.corpora.documents import Document
from drank.corpora.installed import PACKAGES

CONTEXT = 160
ANSWER = range(24, 81)
"""Longest context and possible lengths of an answer in characters, of which a token of the embedded models has between three and four."""

SECTIONS = frozenset({"Parameters", "Returns", "Raises", "See Also", "Notes", "References", "Examples"})

_UNDERLINED = re.compile(r"^([A-Z][A-Za-z ]+)\n[-=~]{3,}\n", re.M)
_SENTENCE_END = re.compile(r"(?<=[\w)`'\"][.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!vs\.)\s+(?=[A-Z`'\"*:(])")
_NOT_PROSE = re.compile(r"^(\s|>>>|[-*+.] |\d+\.|[A-Z][\w ]+:\s*$)|::$|\||\\\\", re.M)
_NUMPYDOC_ENTRY = re.compile(r"^(?P<entry>\*{0,2}(?P<name>\w+) ?:.*\n {4})(?P<text>\S.*(?:\n {4,}\S.*)*)", re.M)
_GOOGLE_ENTRY = re.compile(r"^(?P<entry> {4}(?P<name>\w+)(?: \(.*\))?:\s+)(?P<text>\S.*(?:\n {8,}\S.*)*)", re.M)
_GOOGLE_SECTION = re.compile(r"^Args:\n((?: {4}.*\n?|\n)+)", re.M)


class Question(NamedTuple):
    """A context, the text that truly follows it, and what it asks about: the questions of a set ask about different subjects."""

    document: str
    subject: str
    context: str
    answer: str

    @property
    def package(self) -> str:
        """The top-level package; the standard library counts as one."""
        root = re.split(r"[.(]", re.sub(r"^(class|module) ", "", self.document))[0]
        return root if root in PACKAGES else "python"

    @property
    def order(self) -> bytes:
        """A hash of the question, the only source of chance in a task."""
        return hashlib.sha256("\0".join(self).encode("utf-8", "surrogatepass")).digest()


def _prose(text: str) -> list[list[str]]:
    """The sentences of the leading paragraphs of flowing prose; lists, code, tables and sections end it."""
    found = []
    for paragraph in _UNDERLINED.split(text)[0].split("\n\n"):
        if not paragraph.strip() or _NOT_PROSE.search(paragraph):
            break
        found.append(_SENTENCE_END.split(" ".join(paragraph.split())))
    return found


def _subject(heading: str) -> str:
    return heading.split("(")[0].split(".")[-1]


def continuations(document: Document) -> Iterator[Question]:
    """Which sentence comes next; asked once a document, at the first place that fits."""
    heading, _, text = document.text.partition("\n\n")
    before = heading
    for number, paragraph in enumerate(_prose(text)):
        for position, sentence in enumerate(paragraph):
            before += " " if position else "\n\n"
            if (number or position) and len(sentence) in ANSWER and sentence.endswith("."):
                yield Question(document.name, _subject(heading), before, sentence)
                return
            before += sentence


def summaries(document: Document) -> Iterator[Question]:
    """Which summary belongs to this heading."""
    heading, _, text = document.text.partition("\n\n")
    for paragraph in _prose(text)[:1]:
        yield Question(document.name, _subject(heading), f"{heading}\n\n", paragraph[0])


def parameters(document: Document) -> Iterator[Question]:
    """Which description belongs to this parameter, given with its type under the heading of its function."""
    heading, _, text = document.text.partition("\n\n")
    pieces = _UNDERLINED.split(text)
    blocks = [
        ("Parameters\n----------\n", _NUMPYDOC_ENTRY, b) for t, b in zip(pieces[1::2], pieces[2::2], strict=True) if t == "Parameters"
    ]
    blocks += [("Args:\n", _GOOGLE_ENTRY, match[1]) for match in _GOOGLE_SECTION.finditer(text)]
    for title, pattern, block in blocks:
        for match in pattern.finditer(block):
            sentence = _SENTENCE_END.split(" ".join(match["text"].split()))[0]
            yield Question(document.name, match["name"], f"{heading}\n\n{title}{match['entry']}", sentence)


def headings(document: Document) -> Iterator[Question]:
    """Which section heading follows the last lines of the section before it."""
    pieces = _UNDERLINED.split(document.text)
    for number in range(1, len(pieces), 2):
        before = pieces[number - 1].strip("\n")
        if number > 1:
            before = f"{pieces[number - 2]}\n{'-' * len(pieces[number - 2])}\n{before}"
        tail = before[-(CONTEXT - 2) :]
        lines = tail if tail == before else tail.partition("\n")[2].lstrip("\n")
        if lines.strip() and pieces[number] in SECTIONS:
            yield Question(document.name, pieces[number], f"{lines}\n\n", pieces[number])
