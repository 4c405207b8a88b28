"""From what the harness says of each item of a task to its marks, which JSON can hold and shares add up.

The marks of a task are its `version`, the `metrics` that it is scored by, the `filter` of its answers where it has one, `cut`, how many
prompts lost their beginning, and its `items`: each its number, how many `choices` it has (0 where it is no multiple choice), its score by
every metric, where the likeliest answer counts, which is `chosen` by the first metric and which are `right`, and where several items may
be about one text the hash of that `passage`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drank.evaluation.zeroshot.choices import told_of
from drank.evaluation.zeroshot.definitions import METRICS, Spec
from drank.runtime.shares import Share

if TYPE_CHECKING:
    from lm_eval.api.task import Task

PASSAGES = ("passage", "article", "paragraph", "story", "source_id")
"""Fields in which the tasks of the harness have the text that several items are about, or its name; a definition may name another."""


def marks_of(name: str, task: Task, samples: Sequence[dict[str, Any]], share: Share, spec: Spec) -> dict[str, Any]:
    """The marks of the items of a share from what the harness says of each item of a task, by its first filter, or its spec's `filter`.

    First of its metrics is the spec's `metric`, or else the first that it lists.

    Raises ValueError for a log-likelihood that is not a number, and for a task that has none of the metrics that drank evaluates.
    """
    chosen = spec.get("filter", samples[0]["filter"])
    own = [s for s in samples if s["filter"] == chosen and share.takes(s["doc_id"])]
    scores = [answer[0] for s in own for answer in s["filtered_resps"] if isinstance(answer, tuple)]
    if not all(map(math.isfinite, scores)):
        bad = sum(not math.isfinite(score) for score in scores)
        raise ValueError(
            f"task {name}: {bad} of {len(scores)} log-likelihoods are not finite; the model's weights or its dtype are at fault"
        )
    metrics = sorted((metric for metric in task.aggregation() if metric in METRICS), key=lambda metric: metric != spec.get("metric"))
    if not metrics:
        raise ValueError(f"task {name} is scored by {', '.join(task.aggregation())}; drank evaluates {', '.join(METRICS)}")
    several = task.OUTPUT_TYPE == "multiple_choice"
    fields = [named] if (named := (task.get_config("metadata") or {}).get("passage")) else PASSAGES
    items = [
        {
            "item": s["doc_id"],
            "choices": len(task.doc_to_choice(s["doc"])) if several else 0,
            **{metric: float(s[metric]) for metric in metrics},
            **_passage(s["doc"], fields),
            **told_of(task, s, metrics[0]),
        }
        for s in own
    ]
    told = {} if chosen == "none" else {"filter": chosen}
    return {"version": task.VERSION, "metrics": metrics, **told, "items": items}


def _passage(item: Mapping[str, Any], fields: Sequence[str]) -> dict[str, str]:
    """The passage of an item by the first of these fields that it has, none where it has none."""
    found = next((str(item[field]) for field in fields if item.get(field) not in (None, "")), None)
    return {} if found is None else {"passage": hashlib.sha256(found.encode()).hexdigest()[:16]}


def joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The marks of all items of a task from those of all shares."""
    return {**parts[0], "items": [item for part in parts for item in part["items"]], "cut": sum(part["cut"] for part in parts)}
