"""Zero-shot accuracy through lm-evaluation-harness: embedded tasks, the harness's own (with its data or local files), a user's YAML."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from drank.corpora.beginnings import TEXT
from drank.evaluation.zeroshot.checks import check_tasks
from drank.evaluation.zeroshot.definitions import Spec, define
from drank.evaluation.zeroshot.groups import expanded
from drank.evaluation.zeroshot.marks import marks_of
from drank.evaluation.zeroshot.sources import files_of, needs_hub
from drank.runtime.log import BRIEF
from drank.runtime.shares import WHOLE, Share

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["answer_tasks", "check_tasks", "expanded", "fetch_task", "files_of", "needs_hub"]

log = logging.getLogger(__name__)


def answer_tasks(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tasks: Mapping[str, Spec],
    *,
    items: Mapping[str, str | Path] | None = None,
    batch: int = 32,
    limit: int | None = None,
    share: Share = WHOLE,
    bos: str = TEXT,
) -> dict[str, dict[str, Any]]:
    """By task, groups as those beneath them, the marks of its items (`marks`), of which shares take turns, each asked as among all.

    Runs where the model is. `items` gives the JSONL of each embedded task, `bos` the convention by which prompts begin.

    Raises ValueError with all that `check_tasks` finds, and for log-likelihoods that are not finite.
    """
    problems = check_tasks(tasks)
    problems += [f"task {name}: no items given" for name, spec in tasks.items() if "embedded" in spec and name not in (items or {})]
    if problems or not tasks:
        raise ValueError("\n".join(problems) or "no tasks to evaluate; name at least one under zeroshot.tasks")
    tasks = expanded(tasks).tasks
    from drank.evaluation.zeroshot.harness import answers, quiet
    from drank.evaluation.zeroshot.language_model import LanguageModel

    marks: dict[str, dict[str, Any]] = {}
    with quiet(), TemporaryDirectory(prefix="drank-zeroshot-") as scratch:
        language_model = LanguageModel(model, tokenizer, batch, share, bos)
        for name, spec in tasks.items():
            started = time.perf_counter()
            task, samples = answers(name, define(name, spec, items or {}, scratch), language_model, limit, Path(scratch))
            marks[name] = marks_of(name, task, samples, share, spec) | {"cut": language_model.cut}
            if language_model.cut:
                log.warning("%s: %d prompts do not fit the model's context and lost their beginning", name, language_model.cut)
            right, asked = sum(item[marks[name]["metrics"][0]] for item in marks[name]["items"]), len(marks[name]["items"])
            log.info("%s: %g of %d items right, %.1f s", name, right, asked, time.perf_counter() - started, extra=BRIEF)
    return marks


def fetch_task(spec: Spec) -> None:
    """Have the harness load the data of a task, so that the hub's cache holds them afterwards."""
    from drank.evaluation.zeroshot.harness import load

    with TemporaryDirectory(prefix="drank-zeroshot-") as scratch:
        load("task", define("task", spec, {}, scratch), Path(scratch))
