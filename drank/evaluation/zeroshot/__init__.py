"""Zero-shot accuracy through lm-evaluation-harness: embedded tasks, the harness's own (with its data or local files), a user's YAML."""

from __future__ import annotations

import logging
import math
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from drank.evaluation.zeroshot.definitions import METRICS, Spec, check_tasks, define, files_of
from drank.runtime.log import BRIEF

if TYPE_CHECKING:
    from lm_eval.api.task import Task
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["check_tasks", "evaluate_tasks", "fetch_task", "files_of"]

log = logging.getLogger(__name__)


def _row(name: str, metric: str, value: float, stderr: float, count: int, chance: float) -> dict[str, Any]:
    low, high = value - 1.96 * stderr, value + 1.96 * stderr
    row = {"dataset": name, "metric": metric, "value": value, "ci_low": low, "ci_high": high, "count": count}
    return row | {"stderr": stderr, "chance": chance}


def _score(name: str, task: Task, samples: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows and the detail of one task from what the harness says of each item; only its first filter counts.

    Raises ValueError for a score that is not a number, and where there are fewer than two items (no standard error).
    """
    samples = sorted((s for s in samples if s["filter"] == samples[0]["filter"]), key=lambda s: s["doc_id"])
    scores = [answer[0] for s in samples for answer in s["filtered_resps"] if isinstance(answer, tuple)]
    if not all(map(math.isfinite, scores)):
        bad = sum(not math.isfinite(score) for score in scores)
        raise ValueError(
            f"task {name}: {bad} of {len(scores)} log-likelihoods are not finite; the model's weights or its dtype are at fault"
        )
    if len(samples) < 2:
        raise ValueError(f"task {name}: a standard error needs two items or more, and there is {len(samples)}; raise limit")
    metrics = [metric for metric in task.aggregation() if metric in METRICS]
    if not metrics:
        raise ValueError(f"task {name} is scored by {', '.join(task.aggregation())}; drank evaluates {', '.join(METRICS)}")
    labels = {"accuracy": metrics[0]} | ({"accuracy_norm": "acc_norm"} if "acc_norm" in metrics else {})
    chance = 0.0
    if task.OUTPUT_TYPE == "multiple_choice":
        chance = len(samples) / sum(len(task.doc_to_choice(s["doc"])) for s in samples)
    rows = []
    for label, metric in labels.items():
        values = [float(s[metric]) for s in samples]
        rows.append(_row(name, label, statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values)), len(values), chance))
    # a few tasks (truthfulqa_mc2) give credit in part
    correct = [int(score) if score in (0, 1) else float(score) for score in (s[metrics[0]] for s in samples)]
    return rows, {"version": task.VERSION, "metric": metrics[0], "correct": correct}


def evaluate_tasks(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tasks: Mapping[str, Spec],
    *,
    items: Mapping[str, str | Path] | None = None,
    batch: int = 32,
    limit: int | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Result rows (accuracy of each task, then their average) and per task its version, headline metric and the items answered right.

    Runs where the model is. `items` gives the JSONL of each embedded task; Standard errors
    are those of a mean; that of the average takes the tasks as independent. Raises ValueError with all that `check_tasks` finds.
    """
    problems = check_tasks(tasks)
    problems += [f"task {name}: no items given" for name, spec in tasks.items() if "embedded" in spec and name not in (items or {})]
    if problems or not tasks:
        raise ValueError("\n".join(problems) or "no tasks to evaluate; name at least one under zeroshot.tasks")
    rows, detail = [], {}
    from drank.evaluation.zeroshot.harness import answers, language_model_of, quiet

    with quiet(), TemporaryDirectory(prefix="drank-zeroshot-") as scratch:
        language_model = language_model_of(model, tokenizer, batch)
        for name, spec in tasks.items():
            started = time.perf_counter()
            task, samples = answers(name, define(name, spec, items or {}, scratch), language_model, limit, Path(scratch))
            scored, detail[name] = _score(name, task, samples)
            detail[name]["cut"] = language_model.cut
            rows += scored
            if language_model.cut:
                log.warning("%s: %d prompts do not fit the model's context and lost their beginning", name, language_model.cut)
            spent = time.perf_counter() - started
            log.info("%s: accuracy %.4f of %d items, %.1f s", name, scored[0]["value"], scored[0]["count"], spent, extra=BRIEF)
    return [*rows, _average([row for row in rows if row["metric"] == "accuracy"])], detail


def _average(rows: list[dict[str, Any]]) -> dict[str, Any]:
    stderr = math.sqrt(sum(row["stderr"] ** 2 for row in rows)) / len(rows)
    mean = {key: sum(row[key] for row in rows) / len(rows) for key in ("value", "chance")}
    return _row("average", "accuracy", mean["value"], stderr, sum(row["count"] for row in rows), mean["chance"])


def fetch_task(spec: Spec) -> None:
    """Have the harness load the data of a task, so that the hub's cache holds them afterwards."""
    from lm_eval.tasks import TaskManager

    TaskManager(include_defaults="harness" in spec).load([str(spec.get("harness") or spec["yaml"])])
