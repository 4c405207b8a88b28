"""From the marks of tasks to their numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from drank.evaluation.zeroshot.groups import Group
from drank.runtime.grouping import AVERAGE, in_group
from drank.statistics.intervals import clustered_mean
from drank.statistics.proportions import Proportion, mean_proportion, proportion_of


def scored(
    marks: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Group] | None = None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Result rows (accuracy of each task, then their average) and per task its version, headline metric and the items answered right.

    Before the tasks of a group stand the rows of the group, and its detail has the `shares` by which they make it up; in the average it
    counts as one task. Of tasks where one answer is chosen also the row `majority`, what always giving the most frequent right answer
    scores, and the answers.

    Standard errors are those of a mean over passages, where items share any (`passages` of the detail), else over items; intervals are
    those of a proportion; in the average tasks are taken as independent. Raises ValueError where a task has fewer than two of them (no
    standard error).
    """
    found = {name: _of_task(name, told) for name, told in marks.items()}
    grouped = {name: _of_group(name, group, found) for name, group in (groups or {}).items()}
    first: dict[str, list[str]] = {}
    for name, group in (groups or {}).items():
        first.setdefault(group.tasks[0], []).append(name)
    ordered = {one: (grouped | found)[one] for name in marks for one in (*first.get(name, ()), name)}
    rows = [row for mine, _ in ordered.values() for row in mine]
    named = [row for row in rows if row["metric"] == "accuracy" and not in_group(row["dataset"])]
    rows.append(_mean(AVERAGE, "accuracy", named, [1 / len(named)] * len(named)))
    return rows, {name: detail for name, (_, detail) in ordered.items()}


def _of_group(
    name: str, group: Group, found: Mapping[str, tuple[list[dict[str, Any]], dict[str, Any]]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of a group by every metric that all of its tasks have, which are taken as independent, and its detail."""
    tasks = [{row["metric"]: row for row in found[task][0]} for task in group.tasks]
    sizes = [own["accuracy"]["count"] if group.by_size else 1 for own in tasks]
    shares = [size / sum(sizes) for size in sizes]
    common = [metric for metric in tasks[0] if all(metric in own for own in tasks)]
    rows = [_mean(name, metric, [own[metric] for own in tasks], shares) for metric in common]
    told = [found[task][1] for task in group.tasks]
    metrics = list(dict.fromkeys(one["metric"] for one in told))
    detail = {"metric": ", ".join(metrics), "shares": dict(zip(group.tasks, shares, strict=True)), "cut": sum(one["cut"] for one in told)}
    return rows, detail | {"version": group.version}


def _of_task(name: str, marks: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    items, metrics = sorted(marks["items"], key=lambda item: item["item"]), marks["metrics"]
    if len(items) < 2:
        raise ValueError(f"task {name}: a standard error needs two items or more, and there is {len(items)}; raise limit")
    passages = _passages(items)
    if len(set(passages)) == 1:
        raise ValueError(f"task {name}: a standard error needs two passages or more, and all {len(items)} items share one; raise limit")
    chance = sum(len(set(item.get("right", [0]))) / item["choices"] for item in items if item["choices"]) / len(items)
    labels = {"accuracy": metrics[0]} | ({"accuracy_norm": "acc_norm"} if "acc_norm" in metrics else {})
    rows = []
    for label, metric in labels.items():
        rows.append(_row(name, label, accuracy_of([item[metric] for item in items], passages or None), chance))
    # a few tasks (truthfulqa_mc2) give credit in part
    correct = [int(score) if score in (0, 1) else score for score in (item[metrics[0]] for item in items)]
    shared = {"passages": passages} if passages else {}
    shared |= {"filter": marks["filter"]} if "filter" in marks else {}
    detail = {"version": marks["version"], "metric": metrics[0], "correct": correct, **shared, "cut": marks["cut"]}
    if all("chosen" in item for item in items):
        rows.append({"dataset": name, "metric": "majority", "value": majority([item["right"] for item in items]), "count": len(items)})
        detail["chosen"] = [item["chosen"] for item in items]
    return rows, detail


def accuracy_of(scores: Sequence[float], passages: Sequence[int] | None) -> Proportion:
    """The mean score of items with its 95 % interval: a proportion's, or Student's inside 0 and 1 where credit is given in part."""
    if set(scores) <= {0, 1}:
        return proportion_of(scores, passages)
    mean = clustered_mean(scores, passages)
    _, low, high = mean.interval
    ends = (low, high) if math.isnan(low) else (max(0.0, low), min(1.0, high))
    return Proportion(mean.value, *ends, len(scores), mean.stderr)


def _passages(items: Sequence[Mapping[str, Any]]) -> list[int]:
    """The number of the passage of every item, in the order of their first appearance; none where no two items share one."""
    names = [item.get("passage", f"item {item['item']}") for item in items]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names] if len(numbers) < len(names) else []


def majority(right: Sequence[Sequence[int]]) -> float:
    """The share of items that one answer, the same for all, is right for, if it is the one that most often is."""
    return max(Counter(answer for item in right for answer in set(item)).values()) / len(right)


def _mean(name: str, metric: str, rows: Sequence[Mapping[str, Any]], shares: Sequence[float]) -> dict[str, Any]:
    """The row of a mean of independent tasks by their shares, which sum to 1; without an error where they have none."""
    value, chance = (sum(share * row.get(key, 0.0) for share, row in zip(shares, rows, strict=True)) for key in ("value", "chance"))
    if any("stderr" not in row for row in rows):
        return {"dataset": name, "metric": metric, "value": value, "count": sum(row["count"] for row in rows)}
    ends = ("value", "ci_low", "ci_high", "count", "stderr")
    parts = [Proportion(*(row.get(key, math.nan) for key in ends)) for row in rows]
    return _row(name, metric, mean_proportion(parts, shares), chance)


def _row(name: str, metric: str, found: Proportion, chance: float) -> dict[str, Any]:
    """The row of an accuracy; without the ends of an interval where too few items all agree."""
    ends = {} if math.isnan(found.low) else {"ci_low": found.low, "ci_high": found.high}
    row = {"dataset": name, "metric": metric, "value": found.value, **ends, "count": found.items}
    return row | {"stderr": found.stderr, "chance": chance}
