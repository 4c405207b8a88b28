"""Which answer to a multiple-choice item was chosen, and which are right, by their numbers from 0 on, as the harness scores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lm_eval.api.task import Task

BY_LENGTH = {"acc": False, "acc_norm": True}
"""Metrics by which an answer is chosen for its log-likelihood, or for that by letter."""


def told_of(task: Task, sample: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """The answer that is `chosen` by a metric and those that are `right`; nothing where a task scores otherwise than by the likeliest."""
    if task.OUTPUT_TYPE != "multiple_choice" or task.config.process_results is not None or metric not in BY_LENGTH:
        return {}
    import numpy as np

    choices = task.doc_to_choice(sample["doc"])
    scores = np.array([score for score, _ in sample["filtered_resps"][: len(choices)]])  # what was asked without a prompt stands behind
    with np.errstate(divide="ignore"):
        scores = scores / [len(choice) for choice in choices] if BY_LENGTH[metric] else scores
    return {"chosen": int(np.argmax(scores)), "right": _right(task, sample["doc"], choices)}


def _right(task: Task, doc: Any, choices: Sequence[str]) -> list[int]:
    gold = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
    return [choices.index(one) if isinstance(one, str) else one for one in (gold if isinstance(gold, list) else [gold])]
