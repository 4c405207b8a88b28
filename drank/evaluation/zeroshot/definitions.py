"""What a task is: how a configuration names it, what the harness is told of it, and what can be wrong with it, all without lm_eval."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from drank.runtime.suggestions import near
from drank.testbed.tasks import TASKS, yaml_for

Spec = Mapping[str, Any]
"""A task as the config names it: {embedded: NAME}, {harness: NAME, data: {SPLIT: FILE}} or {yaml: FILE}."""

METRICS = ("acc", "acc_norm", "exact_match")
"""The harness's metrics that are 0 or 1 for each item; a task's headline accuracy is the first of them that its YAML lists."""

FORMATS = {".parquet": "parquet", ".json": "json", ".jsonl": "json", ".csv": "csv"}
SPLITS = {"train": "training_split", "validation": "validation_split", "test": "test_split"}


class _Loader(yaml.SafeLoader):
    """Reads a harness YAML without importing the functions it names."""


_Loader.add_constructor("!function", lambda loader, node: str(node.value))


def read_definition(path: Path) -> dict[str, Any]:
    """A harness YAML with its includes merged in, functions left as their names."""
    own = yaml.load(path.read_text("utf-8"), Loader=_Loader)
    if not isinstance(own, dict):
        raise ValueError(f"{path} is not a mapping of keys to values")
    includes = own.pop("include", [])
    merged: dict[str, Any] = {}
    for include in [includes] if isinstance(includes, str) else includes:
        merged |= read_definition(path.parent / include)
    return merged | own


@cache
def harness_tasks() -> dict[str, Path]:
    """The YAML file of every task and group of the installed harness, found without importing it (14,000 files in under a second).

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


def files_of(spec: Spec) -> list[str]:
    """The files on this machine that a task reads: a user's definition, what it includes, its functions, and local data, in order."""
    if "yaml" not in spec:
        return list(map(str, spec.get("data", {}).values()))
    own = Path(spec["yaml"])
    functions = [file for file in functions_of(own) if file.is_file()]
    return [*map(str, _included(own)), *map(str, functions), *local_files(read_definition(own))]


def functions_of(path: Path) -> list[Path]:
    """Where the modules lie, if they lie beside a definition or what it includes, that their `!function MODULE.NAME` name."""
    named = re.compile(r"!function\s+[\"']?([\w.]+)\.\w+")
    found = (
        file.parent / f"{module.replace('.', '/')}.py" for file in _included(path) for module in named.findall(file.read_text("utf-8"))
    )
    return list(dict.fromkeys(found))


def _included(path: Path) -> Iterator[Path]:
    yield path
    includes = yaml.load(path.read_text("utf-8"), Loader=_Loader).get("include", [])
    for include in [includes] if isinstance(includes, str) else includes:
        yield from _included(path.parent / include)


def _check_embedded(spec: Spec) -> Iterator[str]:
    if spec["embedded"] not in TASKS:
        yield f"{spec['embedded']!r} is not an embedded task{near(spec['embedded'], TASKS)}; known: {', '.join(TASKS)}"


def _check_definition(path: Path) -> Iterator[str]:
    """What keeps a harness YAML from being evaluated, apart from its data."""
    try:
        definition = read_definition(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        yield f"cannot read {path}: {' '.join(str(error).split())}"
        return
    listed = [entry.get("metric") for entry in definition.get("metric_list") or [{"metric": "acc"}]]
    if "group" in definition:
        yield f"{path} is a group; name its tasks one by one"
    elif not set(METRICS).intersection(listed):
        yield f"{path} is scored by {', '.join(map(str, listed))}; drank evaluates {', '.join(METRICS)}"
    yield from _missing(local_files(definition))


def local_files(definition: dict[str, Any]) -> list[str]:
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
        yield f"{name!r} is not a task of the installed lm-evaluation-harness{near(name, harness_tasks())}"
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


def define(name: str, spec: Spec, items: Mapping[str, str | Path], scratch: str) -> dict[str, Any]:
    """The harness YAML of one task; what `datasets` prepares from local files goes to `scratch`, never to the user's cache."""
    if "embedded" in spec:
        definition = yaml_for(spec["embedded"], Path(items[name]).resolve())
    else:
        base = Path(spec["yaml"]) if "yaml" in spec else harness_tasks()[spec["harness"]]
        definition = {"include": str(base.resolve())} | _replace_data(read_definition(base), spec.get("data"))
    if local_files(definition):
        definition["dataset_kwargs"]["cache_dir"] = scratch
    return definition | {"task": name} | ({"num_fewshot": spec["fewshot"]} if "fewshot" in spec else {})


def _replace_data(base: dict[str, Any], data: Mapping[str, str] | None) -> dict[str, Any]:
    """What to lay over a definition so that it reads local files: those of `data`, or its own if it names some."""
    if data is None:
        return {key: base[key] for key in ("dataset_path", "dataset_kwargs")} if local_files(base) else {}
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
