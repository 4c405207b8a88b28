"""Whether the items of a multiple-choice task are what its definition says; the harness scores those that are not as wrong answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lm_eval.api.task import Task


def faults_of_items(name: str, task: Task, limit: int | None) -> Iterator[str]:
    """A line for each of the first `limit` items whose choices are no texts, whose prompt is none, or whose answer is no choice."""
    if task.OUTPUT_TYPE != "multiple_choice":
        return
    for number, doc in enumerate(islice(task.eval_docs, limit)):
        prompt, choices = task.doc_to_text(doc), task.doc_to_choice(doc)
        if not isinstance(choices, list) or not choices or not all(isinstance(choice, str) for choice in choices):
            yield f"task {name}, item {number}: its choices are {choices!r:.60}, which is no list of texts; correct the item"
            continue
        if not isinstance(prompt, int if task.multiple_input else str):
            yield f"task {name}, item {number}: its prompt is {prompt!r:.60}, which is no text; correct the item"
        gold = prompt if task.multiple_input else task.doc_to_target(doc)
        right = gold if isinstance(gold, list) else [gold]
        if task.config.process_results is None and not (right and all(_is_choice(one, choices) for one in right)):
            told = f"its right answer is {gold!r:.60}, which is none of its {len(choices)} choices"
            yield f"task {name}, item {number}: {told}, by number from 0 on or by text; correct the item"


def _is_choice(gold: Any, choices: list[str]) -> bool:
    return gold in choices if isinstance(gold, str) else isinstance(gold, int) and 0 <= gold < len(choices)
