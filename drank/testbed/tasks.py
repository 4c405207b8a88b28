"""Multiple-choice tasks made from held-out documentation, in the form that lm-evaluation-harness reads.

Questions come in sets of four. A set has one list of four choices, each of them the right answer to one of its four questions: whatever
judges a choice without its context (its length, style or probability) is right once in four, and all a model scores above 25 % comes from
reading. The questions of a set stand in four documents of one package, and their choices are of nearly one length.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from drank.corpora.documents import Document
from drank.runtime.files import write_text
from drank.runtime.suggestions import near
from drank.testbed.questions import ANSWER, CONTEXT, Question, continuations, headings, parameters, summaries

CHOICES = 4
ITEMS = 200
FEWEST_ITEMS = 200
VERSION = 1
"""Of the builders: raised whenever the same documents give other items."""

LENGTH_RATIO = 1.25
OVERLAP = 0.5
"""No choice of a set is longer than LENGTH_RATIO times another, or shares OVERLAP of its words (Jaccard) with another."""

_IDENTIFIER = re.compile(r"\w*[a-z0-9]_\w+|\w*[a-z][A-Z]\w*")


@dataclass(frozen=True)
class Task:
    """How a task finds its questions in a document, and its metrics, the headline first.

    `closed`: the answers come from a fixed list, so the rules for free text (length, said only once, not in the context) do not apply.
    """

    questions: Callable[[Document], Iterator[Question]]
    metrics: tuple[str, ...] = ("acc", "acc_norm")
    closed: bool = False


TASKS: dict[str, Task] = {
    "docs-continuation": Task(continuations),
    "docs-summary": Task(summaries),
    "docs-parameter": Task(parameters),
    "docs-section": Task(headings, metrics=("acc",), closed=True),
}
"""The embedded tasks by name."""


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def _given_away(question: Question) -> bool:
    """Whether the answer, or an identifier in it, already stands in the context."""
    shared = set(_IDENTIFIER.findall(question.answer)) & set(re.findall(r"\w+", question.context))
    return bool(shared) or _plain(question.answer) in _plain(question.context)


def _pool(task: Task, documents: list[Document]) -> list[Question]:
    """All questions that may be asked, in order of their hashes."""
    found = [q for document in documents if document.split == "test" for q in task.questions(document)]
    contexts = Counter(q.context for q in found)
    answers = Counter(_plain(q.answer) for q in found)

    def fits(q: Question) -> bool:
        if contexts[q.context] > 1 or len(q.context) > CONTEXT:
            return False
        return task.closed or (answers[_plain(q.answer)] == 1 and len(q.answer) in ANSWER and not _given_away(q))

    return sorted(filter(fits, found), key=lambda q: q.order)


def _alike(one: Question, other: Question) -> bool:
    """Whether two questions are too close to stand in one set: one's answer might be right, or out of proportion, for the other."""
    if one.subject == other.subject or one.document == other.document or one.package != other.package:
        return True
    mine, yours = set(_plain(one.answer).split()), set(_plain(other.answer).split())
    return len(mine & yours) >= OVERLAP * len(mine | yours)


def _out_of_proportion(members: list[Question]) -> bool:
    lengths = [len(q.answer) for q in members]
    return max(lengths) > LENGTH_RATIO * min(lengths)


def _sets(task: Task, pool: list[Question]) -> Iterator[list[Question]]:
    """Disjoint sets of CHOICES questions, each gathered around the first question left over by the sets before it."""
    used: set[Question] = set()
    for anchor in pool:
        members = [] if anchor in used else [anchor]
        for candidate in pool if members else ():
            if candidate in used or any(_alike(candidate, q) for q in members):
                continue
            if task.closed or not _out_of_proportion([*members, candidate]):
                members.append(candidate)
            if len(members) == CHOICES:
                used.update(members)
                yield members
                break


def build(name: str, documents: list[Document]) -> list[dict[str, Any]]:
    """The items of an embedded task, `context`, `choices`, `gold` and `source` (the document's name), from the test documents.

    Depends on nothing but the test documents, not even on their order. Raises ValueError for an unknown name or too little text.
    """
    if name not in TASKS:
        raise ValueError(f"{name!r} is not an embedded task{near(name, TASKS)}; known: {', '.join(TASKS)}")
    sets = list(islice(_sets(TASKS[name], _pool(TASKS[name], documents)), ITEMS // CHOICES))
    if len(sets) * CHOICES < FEWEST_ITEMS:
        raise ValueError(
            f"task {name}: the test documents give only {len(sets) * CHOICES} items, fewer than {FEWEST_ITEMS}; "
            f"pass all documents of a corpus as large as python-docs ({len(documents)} given)"
        )
    return [
        {"context": question.context, "choices": [q.answer for q in members], "gold": gold, "source": question.document}
        for members in sets
        for gold, question in enumerate(members)
    ]


def yaml_for(name: str, jsonl_path: str | Path) -> dict[str, Any]:
    """The lm-evaluation-harness definition of an embedded task whose items lie in a JSONL file.

    A relative path is read from the working directory. Contexts end in the white space before the answer, hence the empty delimiter.
    """
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(jsonl_path)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "context",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "target_delimiter": "",
        "metric_list": [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in TASKS[name].metrics],
        "metadata": {"version": VERSION, "passage": "source"},  # questions on one document are one unit of its standard error
    }


def write_task(name: str, documents: list[Document], jsonl_path: str | Path) -> int:
    """Write a task's items as JSONL and beside it, with the suffix .yaml, its harness definition; the number of items."""
    import yaml

    items = build(name, documents)
    write_text(jsonl_path, "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items))
    write_text(Path(jsonl_path).with_suffix(".yaml"), yaml.safe_dump(yaml_for(name, jsonl_path), sort_keys=False))
    return len(items)
