"""lm-evaluation-harness as drank uses it: quiet, with progress in the log, and with room for answers longer than a model's context."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import yaml

from drank.runtime.files import write_text
from drank.runtime.shares import WHOLE, Share

if TYPE_CHECKING:
    from lm_eval.api.task import Task
    from lm_eval.models.huggingface import HFLM
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 20.0


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


def language_model_of(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: int, share: Share = WHOLE) -> HFLM:
    """The model as the harness asks it, with progress in the log instead of bars, and with room for answers longer than its context.

    To what is asked of items that are not of the share it answers with a blank, unread.
    """
    from lm_eval.models.huggingface import HFLM

    class LoggedLM(HFLM):
        """HFLM that logs how many sequences it has read, at most once in PROGRESS_SECONDS; `cut` counts prompts that lost their start."""

        done, reported, cut = 0, time.monotonic(), 0

        def _model_call(self, inps: Any, *args: Any, **kwargs: Any) -> Any:
            self.done += len(inps)
            if time.monotonic() - self.reported > PROGRESS_SECONDS:
                log.info("zero-shot: %d sequences read", self.done)
                self.reported = time.monotonic()
            return super()._model_call(inps, *args, **kwargs)

        def _loglikelihood_tokens(self, requests: Any, disable_tqdm: bool = True, override_bs: int | None = None) -> Any:
            self.cut = sum(len(context) + len(answer) > self.max_length + 1 for _, context, answer in requests)
            split = [[(key, context + head, tail) for head, tail in pieces(answer, self.max_length)] for key, context, answer in requests]
            found = iter(super()._loglikelihood_tokens([piece for parts in split for piece in parts], disable_tqdm, override_bs))
            scored = ([next(found) for _ in parts] for parts in split)
            return [(sum(score for score, _ in parts), all(greedy for _, greedy in parts)) for parts in scored]

        def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
            return self._of_share(super().loglikelihood, requests, (0.0, False))

        def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
            return self._of_share(super().generate_until, requests, "")

        def _of_share(self, ask: Callable[..., Any], requests: Any, blank: Any) -> list[Any]:
            own = [request for request in requests if share.takes(request.doc_id)]
            self.cut = 0
            found = iter(ask(own, disable_tqdm=True) if own else ())
            return [next(found) if share.takes(request.doc_id) else blank for request in requests]

    return LoggedLM(pretrained=model, tokenizer=tokenizer, batch_size=batch)


def pieces(answer: list[int], context: int) -> list[tuple[list[int], list[int]]]:
    """The answer's tokens as pieces a model can score one by one, each with what stands before it.

    By the chain rule the log-likelihoods of the pieces add up to the answer's. One piece where the answer fits the context, as in the
    harness, which stops at longer ones; else pieces of half a context, so that each token is read with that much before it.
    """
    size = max(1, len(answer) if len(answer) <= context else context // 2)
    return [(answer[:start], answer[start : start + size]) for start in range(0, max(1, len(answer)), size)]


def answers(
    name: str, definition: dict[str, Any], language_model: HFLM, limit: int | None, folder: Path
) -> tuple[Task, list[dict[str, Any]]]:
    """The task and what the harness says of each item, seeded as its command line seeds.

    `simple_evaluate` would do the same, and take six more seconds to describe the machine.
    """
    import lm_eval
    import numpy
    import torch
    from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED
    from lm_eval.tasks import TaskManager

    random.seed(DEFAULT_RANDOM_SEED)
    numpy.random.seed(DEFAULT_OTHER_SEED)
    torch.manual_seed(DEFAULT_OTHER_SEED)
    path = folder / f"{name}.yaml"
    write_text(path, yaml.safe_dump(definition))
    try:
        loaded = TaskManager(include_defaults=False).load([str(path)])
    except OSError as error:
        raise OSError(
            f"task {name}: its data cannot be had here ({error}); fetch it where there is a network, or name local files under `data`"
        ) from error
    task = loaded["tasks"][name]
    task.set_config("num_fewshot", task.get_config("num_fewshot") or 0)
    task.set_fewshot_seed(seed=DEFAULT_OTHER_SEED)
    return task, lm_eval.evaluate(language_model, loaded, limit=limit, bootstrap_iters=0)["samples"][name]
