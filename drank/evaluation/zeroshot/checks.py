"""What can be wrong with a task before anything runs, told without lm_eval."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from drank.evaluation.zeroshot.definitions import (
    FORMATS,
    METRICS,
    SPLITS,
    Spec,
    definition_of,
    format_of,
    functions_of,
    included,
    local_files,
)
from drank.evaluation.zeroshot.groups import Expansion, expanded
from drank.evaluation.zeroshot.names import harness_tasks
from drank.evaluation.zeroshot.packages import packages_in
from drank.runtime.grouping import AVERAGE
from drank.runtime.mappings import given_twice
from drank.runtime.stand_ins import unreachable
from drank.runtime.suggestions import near
from drank.testbed.tasks import TASKS

_UNREADABLE = (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError, RecursionError)
"""What reading a definition raises; the last of a file that includes itself."""


def _check_embedded(spec: Spec) -> Iterator[str]:
    if spec["embedded"] not in TASKS:
        yield f"{spec['embedded']!r} is not an embedded task{near(spec['embedded'], TASKS)}; known: {', '.join(TASKS)}"
    if "filter" in spec:
        yield "the answers of an embedded task go through no filter; leave it out"


def _check_definition(spec: Spec, path: Path) -> Iterator[str]:
    """What keeps a harness YAML from being evaluated, apart from its data."""
    try:
        definition = definition_of(spec)
    except _UNREADABLE as error:
        yield f"cannot read {path}: {' '.join(str(error).split())}"
        return
    entries = definition.get("metric_list") or [{"metric": "acc"}]
    listed = [entry.get("metric") for entry in entries]
    metrics = [spec["metric"]] if "metric" in spec else METRICS
    if not set(metrics).intersection(listed):
        rolling = "; for perplexity of a text name it under perplexity.corpora" * (definition.get("output_type") == "loglikelihood_rolling")
        yield f"{path} is scored by {', '.join(map(str, listed))}; drank evaluates {', '.join(metrics)}{rolling}"
    how = {entry["metric"]: str(entry.get("aggregation", "mean")) for entry in entries if entry.get("metric") in METRICS}
    if others := [f"{metric} by {name}" for metric, name in how.items() if name != "mean"]:
        yield f"{path} adds up {', '.join(others)}, and drank takes the mean over items; measure it with `drank lm-eval`"
    yield from _check_answers(spec, path, definition)
    yield from _missing(local_files(definition))


def _check_answers(spec: Spec, path: Path, definition: Mapping[str, Any]) -> Iterator[str]:
    """What keeps answers from being written, greedily, and scored by the filter asked for."""
    if "class" in definition:
        yield f"{path} is a class in Python, which drank cannot tell the data and metrics of; measure it with `drank lm-eval`"
    options = definition.get("generation_kwargs") or {}
    if options.get("do_sample") or (options.get("temperature") and options.get("do_sample") is None):
        yield f"{path} draws its answers (do_sample, temperature), and drank takes the likeliest; include it in a YAML without these"
    known = [str(one.get("name")) for one in definition.get("filter_list") or []] or ["none"]
    if spec.get("filter", known[0]) not in known:
        yield f"filter {spec['filter']!r} is none of those in {path}{near(spec['filter'], known)}: {', '.join(known)}"
    yield from _check_functions([file for file in functions_of(path) if file.is_file()])


def _check_functions(files: list[Path]) -> Iterator[str]:
    """What keeps the modules of a definition's functions from being loaded."""
    for file in files:
        try:
            lacking = [name for name in packages_in(file) if importlib.util.find_spec(name) is None]
        except (SyntaxError, ValueError) as error:
            yield f"{file} cannot be read as Python: {error}"
            continue
        if lacking:
            yield (
                f"{file} needs {', '.join(lacking)}, which Python does not find; install what lm-evaluation-harness names for this task, "
                "or name the folder of a module of your own in PYTHONPATH"
            )


def _missing(files: list[str]) -> Iterator[str]:
    for file in files:
        if "://" not in file and "*" not in file and (wrong := unreachable(Path(file))):
            yield f"data file {wrong}"


def _check_harness(spec: Spec) -> Iterator[str]:
    name, data = spec["harness"], spec.get("data")
    if name not in harness_tasks():
        yield f"{name!r} is not a task of the installed lm-evaluation-harness{near(name, harness_tasks())}"
    else:
        yield from _check_definition(spec, harness_tasks()[name])
    if data is None:
        return
    if "revision" in spec:
        yield "revision is of the hub's data, and data names local files instead; leave one of them out"
    if not set(data) <= set(SPLITS) or not {"validation", "test"}.intersection(data):
        yield f"data names the splits {', '.join(data) or 'none'}; give test or validation, and train if you like"
    formats = set(map(format_of, data.values()))
    if None in formats or len(formats) > 1:
        yield f"data files must all be of one format out of {', '.join(FORMATS)}, not {', '.join(map(str, data.values()))}"
    yield from _missing(list(map(str, data.values())))


def _check_yaml(spec: Spec) -> Iterator[str]:
    path, found = Path(spec["yaml"]), list(_check_definition(spec, Path(spec["yaml"])))
    with suppress(*_UNREADABLE):  # which the check of the definition has told
        found += [line for file in included(path) for line in given_twice(file)]
    yield from found


_CHECKS: dict[str, Callable[[Spec], Iterator[str]]] = {"embedded": _check_embedded, "harness": _check_harness, "yaml": _check_yaml}


def check_tasks(tasks: Mapping[str, Spec]) -> list[str]:
    """All problems with the tasks of a config, one sentence each; empty where there are none. Imports neither torch nor the harness."""
    problems = []
    for name, spec in tasks.items():
        if name == AVERAGE:
            problems.append(f"task {name}: that is what the mean over all tasks is called; give it another name")
        kinds = [kind for kind in _CHECKS if kind in spec]
        if len(kinds) != 1:
            problems.append(f"task {name}: give exactly one of {', '.join(_CHECKS)}")
            continue
        beneath = _beneath(name, spec)
        problems += beneath.problems
        problems += [f"task {one}: {problem}" for one, own in beneath.tasks.items() for problem in _CHECKS[_kind(own)](own)]
    return problems


def _kind(spec: Spec) -> str:
    return next(kind for kind in _CHECKS if kind in spec)


def _beneath(name: str, spec: Spec) -> Expansion:
    """What a name stands for, with what cannot be read among the problems, or left to the check of a task by itself."""
    try:
        return expanded({name: spec})
    except _UNREADABLE as error:
        found = _CHECKS[_kind(spec)](spec)
        told = [f"task {name}: {problem}" for problem in found] or [f"task {name}: cannot be read: {' '.join(str(error).split())}"]
        return Expansion(problems=told)
