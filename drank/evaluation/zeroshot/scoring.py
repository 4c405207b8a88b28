"""From what the harness says of each item to the numbers of a task: marks, which JSON can hold and shares add up, and what follows of them.

The marks of a task are its `version`, the `metrics` that it is scored by, `cut`, how many prompts lost their beginning, and its `items`:
each its number, how many `choices` it has (0 where it is no multiple choice) and its score by every metric.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
        }
        for s in own
    ]
    return {"version": task.VERSION, "metrics": metrics, "items": items}


def joined(parts: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The marks of all items from those of all shares, by task."""
    return {
        name: {
            **marks,
            "items": [item for part in parts for item in part[name]["items"]],
            "cut": sum(part[name]["cut"] for part in parts),
        }
        for name, marks in parts[0].items()
    }


def scored(marks: Mapping[str, Mapping[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Result rows (accuracy of each task, then their average) and per task its version, headline metric and the items answered right.

    Standard errors are those of a mean; that of the average takes the tasks as independent. Raises ValueError where a task has fewer than
    two items (no standard error).
    """
    rows: list[dict[str, Any]] = []
    detail = {}
    for name, found in marks.items():
        mine, detail[name] = _of_task(name, found)
        rows += mine
    return [*rows, _average([row for row in rows if row["metric"] == "accuracy"])], detail


def _of_task(name: str, marks: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    items, metrics = sorted(marks["items"], key=lambda item: item["item"]), marks["metrics"]
    if len(items) < 2:
        raise ValueError(f"task {name}: a standard error needs two items or more, and there is {len(items)}; raise limit")
    choices = sum(item["choices"] for item in items)
    chance = len(items) / choices if choices else 0.0
    labels = {"accuracy": metrics[0]} | ({"accuracy_norm": "acc_norm"} if "acc_norm" in metrics else {})
    rows = []
    for label, metric in labels.items():
        values = [item[metric] for item in items]
        rows.append(_row(name, label, statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values)), len(values), chance))
    # a few tasks (truthfulqa_mc2) give credit in part
    correct = [int(score) if score in (0, 1) else score for score in (item[metrics[0]] for item in items)]
    return rows, {"version": marks["version"], "metric": metrics[0], "correct": correct, "cut": marks["cut"]}


def _average(rows: list[dict[str, Any]]) -> dict[str, Any]:
    stderr = math.sqrt(sum(row["stderr"] ** 2 for row in rows)) / len(rows)
    mean = {key: sum(row[key] for row in rows) / len(rows) for key in ("value", "chance")}
    return _row("average", "accuracy", mean["value"], stderr, sum(row["count"] for row in rows), mean["chance"])


def _row(name: str, metric: str, value: float, stderr: float, count: int, chance: float) -> dict[str, Any]:
    low, high = value - 1.96 * stderr, value + 1.96 * stderr
    row = {"dataset": name, "metric": metric, "value": value, "ci_low": low, "ci_high": high, "count": count}
    return row | {"stderr": stderr, "chance": chance}
