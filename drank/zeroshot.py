"""Zero-shot accuracy through lm-evaluation-harness: embedded tasks, the harness's own (with its data or local files), a user's YAML."""

from __future__ import annotations

import difflib
import importlib.util
import logging
import math
import os
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import yaml

from drank.files import write_text
from drank.testbed.tasks import TASKS, yaml_for

if TYPE_CHECKING:
    from lm_eval.api.task import Task
    from lm_eval.models.huggingface import HFLM
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)

Spec = Mapping[str, Any]
"""A task as the config names it: {embedded: NAME}, {harness: NAME, data: {SPLIT: FILE}} or {yaml: FILE}."""

METRICS = ("acc", "acc_norm", "exact_match")
"""The harness's metrics that are 0 or 1 for each item; a task's headline accuracy is the first of them that its YAML lists."""

FORMATS = {".parquet": "parquet", ".json": "json", ".jsonl": "json", ".csv": "csv"}
SPLITS = {"train": "training_split", "validation": "validation_split", "test": "test_split"}
PROGRESS_SECONDS = 20.0


class _Loader(yaml.SafeLoader):
    """Reads a harness YAML without importing the functions it names."""


_Loader.add_constructor("!function", lambda loader, node: str(node.value))


def _read(path: Path) -> dict[str, Any]:
    """A harness YAML with its includes merged in, functions left as their names."""
    own = yaml.load(path.read_text("utf-8"), Loader=_Loader)
    if not isinstance(own, dict):
        raise ValueError(f"{path} is not a mapping of keys to values")
    includes = own.pop("include", [])
    merged: dict[str, Any] = {}
    for include in [includes] if isinstance(includes, str) else includes:
        merged |= _read(path.parent / include)
    return merged | own


@cache
def harness_tasks() -> dict[str, Path]:
    """The YAML file of every task and group of the installed harness, found without importing it (0.4 s for 14,000 files).

    Raises ModuleNotFoundError where the harness is not installed.
    """
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the task names a task of lm-evaluation-harness, which is not installed; install lm_eval")
    named = re.compile(rb"^[\"']?(?:task|group)[\"']?:[ \t]*[\"']?([^\s\"'#\[]+)", re.M)
    found: dict[str, Path] = {}
    for folder, below, files in os.walk(Path(spec.submodule_search_locations[0], "tasks")):
        below.sort()
        for file in sorted(file for file in files if file.endswith(".yaml")):
            path = Path(folder, file)
            match = named.search(path.read_bytes())
            if match:
                found.setdefault(match[1].decode(), path)
    return found


def _near(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    return f" (near: {', '.join(near)})" if near else ""


def _check_embedded(spec: Spec) -> Iterator[str]:
    if spec["embedded"] not in TASKS:
        yield f"{spec['embedded']!r} is not an embedded task{_near(spec['embedded'], TASKS)}; known: {', '.join(TASKS)}"


def _check_definition(path: Path) -> Iterator[str]:
    """What keeps a harness YAML from being evaluated, apart from its data."""
    try:
        definition = _read(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        yield f"cannot read {path}: {' '.join(str(error).split())}"
        return
    listed = [entry.get("metric") for entry in definition.get("metric_list") or [{"metric": "acc"}]]
    if "group" in definition:
        yield f"{path} is a group; name its tasks one by one"
    elif not set(METRICS).intersection(listed):
        yield f"{path} is scored by {', '.join(map(str, listed))}; drank evaluates {', '.join(METRICS)}"
    yield from _missing(_local_files(definition))


def _local_files(definition: dict[str, Any]) -> list[str]:
    """The data files of a definition that names local ones."""
    if definition.get("dataset_path") not in FORMATS.values():
        return []
    files = (definition.get("dataset_kwargs") or {}).get("data_files", [])
    groups = files.values() if isinstance(files, dict) else [files]
    return [str(file) for group in groups for file in ([group] if isinstance(group, str) else group)]


def _missing(files: list[str]) -> Iterator[str]:
    for file in files:
        if "://" not in file and "*" not in file and not Path(file).is_file():
            yield f"data file {file} does not exist"


def _check_harness(spec: Spec) -> Iterator[str]:
    name, data = spec["harness"], spec.get("data")
    if name not in harness_tasks():
        yield f"{name!r} is not a task of the installed lm-evaluation-harness{_near(name, harness_tasks())}"
    else:
        yield from _check_definition(harness_tasks()[name])
    if data is None:
        return
    if not set(data) <= set(SPLITS) or not {"validation", "test"}.intersection(data):
        yield f"data names the splits {', '.join(data) or 'none'}; give test or validation, and train if you like"
    formats = {FORMATS.get(Path(file).suffix) for file in data.values()}
    if None in formats or len(formats) > 1:
        yield f"data files must all be of one format out of {', '.join(FORMATS)}, not {', '.join(map(str, data.values()))}"
    yield from _missing(list(map(str, data.values())))


def _check_yaml(spec: Spec) -> Iterator[str]:
    return _check_definition(Path(spec["yaml"]))


_CHECKS: dict[str, Callable[[Spec], Iterator[str]]] = {"embedded": _check_embedded, "harness": _check_harness, "yaml": _check_yaml}


def check_tasks(tasks: Mapping[str, Spec]) -> list[str]:
    """All problems with the tasks of a config, one sentence each; empty where there are none. Imports neither torch nor the harness."""
    problems = []
    for name, spec in tasks.items():
        kinds = [kind for kind in _CHECKS if kind in spec]
        found = _CHECKS[kinds[0]](spec) if len(kinds) == 1 else [f"give exactly one of {', '.join(_CHECKS)}"]
        problems += [f"task {name}: {problem}" for problem in found]
    return problems


def _define(name: str, spec: Spec, items: Mapping[str, str | Path], fewshot: int | None, scratch: str) -> dict[str, Any]:
    """The harness YAML of one task; what `datasets` prepares from local files goes to `scratch`, never to the user's cache."""
    if "embedded" in spec:
        definition = yaml_for(spec["embedded"], Path(items[name]).resolve())
    else:
        base = Path(spec["yaml"]) if "yaml" in spec else harness_tasks()[spec["harness"]]
        definition = {"include": str(base.resolve())} | _replace_data(_read(base), spec.get("data"))
    if _local_files(definition):
        definition["dataset_kwargs"]["cache_dir"] = scratch
    return definition | {"task": name} | ({} if fewshot is None else {"num_fewshot": fewshot})


def _replace_data(base: dict[str, Any], data: Mapping[str, str] | None) -> dict[str, Any]:
    """What to lay over a definition so that it reads local files: those of `data`, or its own if it names some."""
    if data is None:
        return {key: base[key] for key in ("dataset_path", "dataset_kwargs")} if _local_files(base) else {}
    shots = base.get("fewshot_config") or {}
    return {
        "dataset_path": FORMATS[Path(next(iter(data.values()))).suffix],
        "dataset_name": None,
        "custom_dataset": None,
        "dataset_kwargs": {"data_files": {split: str(Path(file).resolve()) for split, file in data.items()}},
        **{key: split if split in data else None for split, key in SPLITS.items()},
        "fewshot_split": base.get("fewshot_split") if base.get("fewshot_split") in data else None,
        **({"fewshot_config": None} if "split" in shots and shots["split"] not in data else {}),
    }


@contextmanager
def _quiet() -> Iterator[None]:
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


def _language_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: int) -> HFLM:
    """The model as the harness asks it, with progress in the log instead of bars, and with room for answers longer than its context."""
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
            return super().loglikelihood(requests, disable_tqdm=True)

        def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
            return super().generate_until(requests, disable_tqdm=True)

    return LoggedLM(pretrained=model, tokenizer=tokenizer, batch_size=batch)


def pieces(answer: list[int], context: int) -> list[tuple[list[int], list[int]]]:
    """The answer's tokens as pieces a model can score one by one, each with what stands before it.

    By the chain rule the log-likelihoods of the pieces add up to the answer's. One piece where the answer fits the context, as in the
    harness, which stops at longer ones; else pieces of half a context, so that each token is read with that much before it.
    """
    size = max(1, len(answer) if len(answer) <= context else context // 2)
    return [(answer[:start], answer[start : start + size]) for start in range(0, max(1, len(answer)), size)]


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
    fewshot: int | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Result rows (accuracy of each task, then their average) and per task its version, headline metric and the items answered right.

    Runs where the model is. `items` gives the JSONL of each embedded task; `fewshot` None leaves it to the task's YAML. Standard errors
    are those of a mean; that of the average takes the tasks as independent. Raises ValueError with all that `check_tasks` finds.
    """
    problems = check_tasks(tasks)
    problems += [f"task {name}: no items given" for name, spec in tasks.items() if "embedded" in spec and name not in (items or {})]
    if problems or not tasks:
        raise ValueError("\n".join(problems) or "no tasks to evaluate; name at least one under zeroshot.tasks")
    rows, detail = [], {}
    with _quiet(), TemporaryDirectory(prefix="drank-zeroshot-") as scratch:
        language_model = _language_model(model, tokenizer, batch)
        for name, spec in tasks.items():
            started = time.perf_counter()
            task, samples = _answers(name, _define(name, spec, items or {}, fewshot, scratch), language_model, limit, Path(scratch))
            scored, detail[name] = _score(name, task, samples)
            detail[name]["cut"] = language_model.cut
            rows += scored
            if language_model.cut:
                log.warning("%s: %d prompts do not fit the model's context and lost their beginning", name, language_model.cut)
            log.info("%s: accuracy %.4f of %d items, %.1f s", name, scored[0]["value"], scored[0]["count"], time.perf_counter() - started)
    return [*rows, _average([row for row in rows if row["metric"] == "accuracy"])], detail


def _answers(
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


def _average(rows: list[dict[str, Any]]) -> dict[str, Any]:
    stderr = math.sqrt(sum(row["stderr"] ** 2 for row in rows)) / len(rows)
    mean = {key: sum(row[key] for row in rows) / len(rows) for key in ("value", "chance")}
    return _row("average", "accuracy", mean["value"], stderr, sum(row["count"] for row in rows), mean["chance"])
