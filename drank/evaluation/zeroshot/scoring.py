"""From the marks of tasks to their numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from drank.statistics.intervals import clustered_mean


def scored(marks: Mapping[str, Mapping[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Result rows (accuracy of each task, then their average) and per task its version, headline metric and the items answered right.

    Of tasks where one answer is chosen also the row `majority`, what always giving the most frequent right answer scores, and the answers.

    Standard errors are those of a mean over passages, where items share any (`passages` of the detail), else over items; that of the
    average takes the tasks as independent. Raises ValueError where a task has fewer than two of them (no standard error).
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
    passages = _passages(items)
    if len(set(passages)) == 1:
        raise ValueError(f"task {name}: a standard error needs two passages or more, and all {len(items)} items share one; raise limit")
    choices = sum(item["choices"] for item in items)
    chance = len(items) / choices if choices else 0.0
    labels = {"accuracy": metrics[0]} | ({"accuracy_norm": "acc_norm"} if "acc_norm" in metrics else {})
    rows = []
    for label, metric in labels.items():
        mean = clustered_mean([item[metric] for item in items], passages or None)
        rows.append(_row(name, label, mean.value, mean.stderr, len(items), chance))
    # a few tasks (truthfulqa_mc2) give credit in part
    correct = [int(score) if score in (0, 1) else score for score in (item[metrics[0]] for item in items)]
    shared = {"passages": passages} if passages else {}
    detail = {"version": marks["version"], "metric": metrics[0], "correct": correct, **shared, "cut": marks["cut"]}
    if all("chosen" in item for item in items):
        rows.append({"dataset": name, "metric": "majority", "value": majority([item["right"] for item in items]), "count": len(items)})
        detail["chosen"] = [item["chosen"] for item in items]
    return rows, detail


def _passages(items: Sequence[Mapping[str, Any]]) -> list[int]:
    """The number of the passage of every item, in the order of their first appearance; none where no two items share one."""
    names = [item.get("passage", f"item {item['item']}") for item in items]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names] if len(numbers) < len(names) else []


def majority(right: Sequence[Sequence[int]]) -> float:
    """The share of items that one answer, the same for all, is right for, if it is the one that most often is."""
    return max(Counter(answer for item in right for answer in set(item)).values()) / len(right)


def _average(rows: list[dict[str, Any]]) -> dict[str, Any]:
    stderr = math.sqrt(sum(row["stderr"] ** 2 for row in rows)) / len(rows)
    mean = {key: sum(row[key] for row in rows) / len(rows) for key in ("value", "chance")}
    return _row("average", "accuracy", mean["value"], stderr, sum(row["count"] for row in rows), mean["chance"])


def _row(name: str, metric: str, value: float, stderr: float, count: int, chance: float) -> dict[str, Any]:
    low, high = value - 1.96 * stderr, value + 1.96 * stderr
    row = {"dataset": name, "metric": metric, "value": value, "ci_low": low, "ci_high": high, "count": count}
    return row | {"stderr": stderr, "chance": chance}
