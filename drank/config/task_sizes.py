"""How much the tasks of a run have a model read and write, roughly: what a forecast needs of them."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from drank.evaluation.zeroshot.definitions import Spec, definition_of
from drank.evaluation.zeroshot.groups import expanded

EMBEDDED_ITEMS, ITEMS, MEMBER, ITEM = 200, 2000, 250, 100
"""Items of a task that is embedded or not, or one of a group, and the tokens of an item with its answers."""

LARGE = {"hellaswag": 40_000, "mathqa": 10_000, "arc_easy": 4000, "mmlu": 14_000}
"""Items of that many tokens that tasks and groups of the harness come to which ask many more or longer ones."""

LIMITS, WRITTEN = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"), 256
"""What the harness calls the most tokens of an answer, the first of them first, and how many these are where a definition has none."""


class TaskSize(NamedTuple):
    """Tokens that a task has a model read, and how often it has to read all weights for one more token of some answers."""

    read: float
    steps: float

    @classmethod
    def of(cls, specs: Iterable[Spec], limit: int | None, batch: int) -> TaskSize:
        """That of several tasks together, of `limit` items each if it is given, `batch` answers written at once."""
        sizes = [_of_task(spec, limit, batch) for spec in specs]
        return cls(sum(size.read for size in sizes), sum(size.steps for size in sizes))


def _of_task(spec: Spec, limit: int | None, batch: int) -> TaskSize:
    beneath = _definitions(json.dumps(spec))
    several = MEMBER * len(beneath) if len(beneath) > 1 else ITEMS
    whole = EMBEDDED_ITEMS if "embedded" in spec else LARGE.get(spec.get("harness", ""), several)
    items = math.ceil(whole / len(beneath))
    items = min(limit or items, items)
    sizes = [_of_definition(definition, spec.get("fewshot"), items, batch) for definition in beneath]
    return TaskSize(sum(size.read for size in sizes), sum(size.steps for size in sizes))


def _of_definition(definition: Mapping[str, Any], fewshot: int | None, items: int, batch: int) -> TaskSize:
    shots = definition.get("num_fewshot") if fewshot is None else fewshot
    read = items * ITEM * (1 + (shots if isinstance(shots, int) else 0))
    if definition.get("output_type") != "generate_until":
        return TaskSize(read, 0)
    options = definition.get("generation_kwargs") or {}
    most = next((options[name] for name in LIMITS if isinstance(options.get(name), int)), WRITTEN)
    return TaskSize(read, math.ceil(items / batch) * most)


@functools.cache
def _definitions(told: str) -> list[dict[str, Any]]:
    """Those of the tasks that an entry, as JSON, stands for; of an embedded one nothing."""
    members = expanded({"it": json.loads(told)}).tasks.values()
    return [{} if "embedded" in spec else definition_of(spec) for spec in members]
