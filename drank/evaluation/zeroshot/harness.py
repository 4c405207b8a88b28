"""lm-evaluation-harness as drank uses it: quiet, with a task at a time and without what it would find out of the machine."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import yaml

from drank.evaluation.zeroshot.items import faults_of_items
from drank.evaluation.zeroshot.pairs import SHOWN
from drank.runtime.files import write_text
from drank.runtime.log import foreseen

if TYPE_CHECKING:
    from lm_eval.api.task import Task
    from lm_eval.models.huggingface import HFLM


@contextmanager
def quiet() -> Iterator[None]:
    """The harness and `datasets` without progress bars, and saying nothing below a warning."""
    import datasets
    from lm_eval.api import task

    # "pretrained is not of type str" is a warning of this module that holds for every model here
    levels = {"lm_eval": logging.WARNING, "datasets": logging.WARNING, "lm_eval.models.huggingface": logging.ERROR}
    before = {name: logging.getLogger(name).level for name in levels}
    shown = not datasets.are_progress_bars_disabled()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    datasets.disable_progress_bars()
    try:
        with patch.object(task, "tqdm", lambda iterable, **_: iterable):  # the one bar without a switch
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
        if shown:
            datasets.enable_progress_bars()


def load(name: str, definition: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What the harness makes of a definition, its data with it; `folder` gets the YAML file that it reads."""
    from lm_eval.tasks import TaskManager

    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, yaml.safe_dump(definition))
    return TaskManager(include_defaults=False).load([str(path)])


def answers(
    name: str, definition: dict[str, Any], language_model: HFLM, limit: int | None, folder: Path
) -> tuple[Task, list[dict[str, Any]]]:
    """The task and what the harness says of each item, seeded as its command line seeds.

    `simple_evaluate` would do the same, and take six more seconds to describe the machine.
    """
    import lm_eval
    import numpy
    import torch
    from datasets.exceptions import DatasetsError
    from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED

    random.seed(DEFAULT_RANDOM_SEED)
    numpy.random.seed(DEFAULT_OTHER_SEED)
    torch.manual_seed(DEFAULT_OTHER_SEED)
    try:
        loaded = load(name, definition, folder)
    except Exception as error:  # of `datasets`, of the file formats, and of what the definition does to the first item
        files = (definition.get("dataset_kwargs") or {}).get("data_files")
        if isinstance(error, (OSError, ValueError, DatasetsError)):
            what = (
                f"correct what cannot be read in {files}"
                if files
                else "fetch it where there is a network, or name local files under `data`"
            )
            raise OSError(f"task {name}: its data cannot be had here ({error.__cause__ or error}); {what}") from error
        raise ValueError(
            f"task {name}: its definition does not fit its data ({type(error).__name__}: {error}); correct the fields it names, "
            f"or the data{f' in {files}' if files else ''}"
        ) from error
    task = loaded["tasks"][name]
    task.set_config("num_fewshot", task.get_config("num_fewshot") or 0)
    task.set_fewshot_seed(seed=DEFAULT_OTHER_SEED)
    try:
        wrong = list(faults_of_items(name, task, limit))
        if not wrong:
            return task, lm_eval.evaluate(language_model, loaded, limit=limit, bootstrap_iters=0)["samples"][name]
    except (AssertionError, LookupError, TypeError, ValueError) as error:  # of the harness, not of drank's model in it
        if foreseen(error, error.__traceback__):
            raise
        raise ValueError(
            f"task {name}: its definition does not fit its items ({type(error).__name__}: {error}); correct one of them"
        ) from error
    raise ValueError("\n".join(wrong if len(wrong) <= SHOWN else [*wrong[:SHOWN], f"… and {len(wrong) - SHOWN} more"]))
