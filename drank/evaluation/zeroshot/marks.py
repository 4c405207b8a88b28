"""From what the harness says of each item of a task to its marks, which JSON can hold and shares add up.

The marks of a task are its `version`, the `metrics` that it is scored by, `cut`, how many prompts lost their beginning, and its `items`:
each its number, how many `choices` it has (0 where it is no multiple choice), its score by every metric and, where the likeliest answer
counts, which is `chosen` by the first metric and which are `right`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drank.evaluation.zeroshot.choices import told_of
from drank.evaluation.zeroshot.definitions import METRICS
from drank.runtime.shares import Share

if TYPE_CHECKING:
    from lm_eval.api.task import Task


def marks_of(name: str, task: Task, samples: Sequence[dict[str, Any]], share: Share) -> dict[str, Any]:
    """The marks of the items of a share from what the harness says of each item of a task; only its first filter counts.

    Raises ValueError for a log-likelihood that is not a number, and for a task that has none of the metrics that drank evaluates.
    """
    own = [s for s in samples if s["filter"] == samples[0]["filter"] and share.takes(s["doc_id"])]
    scores = [answer[0] for s in own for answer in s["filtered_resps"] if isinstance(answer, tuple)]
    if not all(map(math.isfinite, scores)):
        bad = sum(not math.isfinite(score) for score in scores)
        raise ValueError(
            f"task {name}: {bad} of {len(scores)} log-likelihoods are not finite; the model's weights or its dtype are at fault"
        )
    metrics = [metric for metric in task.aggregation() if metric in METRICS]
    if not metrics:
        raise ValueError(f"task {name} is scored by {', '.join(task.aggregation())}; drank evaluates {', '.join(METRICS)}")
    several = task.OUTPUT_TYPE == "multiple_choice"
    items = [
        {
            "item": s["doc_id"],
            "choices": len(task.doc_to_choice(s["doc"])) if several else 0,
            **{metric: float(s[metric]) for metric in metrics},
            **told_of(task, s, metrics[0]),
        }
        for s in own
    ]
    return {"version": task.VERSION, "metrics": metrics, "items": items}


def joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The marks of all items of a task from those of all shares."""
    return {**parts[0], "items": [item for part in parts for item in part["items"]], "cut": sum(part["cut"] for part in parts)}
