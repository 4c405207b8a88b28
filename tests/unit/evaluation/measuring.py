"""Measurements from their beginning to their numbers."""

from __future__ import annotations

from typing import Any

from drank.evaluation.losses import losses_of
from drank.evaluation.perplexity import summarised
from drank.evaluation.zeroshot import answer_tasks
from drank.evaluation.zeroshot.scoring import scored


def evaluate_tasks(*args: Any, **options: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows and the detail of the tasks that `answer_tasks` is told of."""
    return scored(answer_tasks(*args, **options))


def measure(model: Any, texts: list[Any], *options: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows and the detail of the texts."""
    return summarised(texts, {text.corpus: losses_of(model, text, *options) for text in texts})
