"""What a task is: how a configuration names it, and what the harness is told of it, all without lm_eval."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from glob import glob
from pathlib import Path
from typing import Any

import yaml

from drank.corpora import commit_of, place_of
from drank.evaluation.zeroshot.names import harness_tasks
from drank.evaluation.zeroshot.plain_names import by_plain_names
from drank.testbed.tasks import yaml_for

Spec = Mapping[str, Any]
"""A task as the config names it: {embedded: NAME}, {harness: NAME, revision: COMMIT or data: {SPLIT: FILE}} or {yaml: FILE}.

One that is not embedded may say by which `filter` of its answers it is scored; the first of its definition where it does not. One out of a
group may also have `changes`, what the group lays over its definition, and the `metric` that the group adds up.
"""

METRICS = ("acc", "acc_norm", "exact_match", "prompt_level_strict_acc", "prompt_level_loose_acc")
"""The harness's metrics that are 0 or 1 for each item; a task's headline accuracy is the first of them that its YAML lists."""

FORMATS = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".csv": "csv",
    ".json.gz": "json",
    ".jsonl.gz": "json",
    ".ndjson.gz": "json",
    ".csv.gz": "csv",
}
SPLITS = {"train": "training_split", "validation": "validation_split", "test": "test_split"}


class _Loader(yaml.SafeLoader):
    """Reads a harness YAML without importing the functions it names."""


class Function(str):
    """The name of a function that a definition calls."""


_Loader.add_constructor("!function", lambda loader, node: Function(node.value))


def _texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _mappings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _kwargs(value: Any) -> bool:
    files = value.get("data_files", []) if isinstance(value, dict) else None
    return all(map(_texts, files.values())) if isinstance(files, dict) else _texts(files)


_FORMS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "include": ("a path or a list of paths", _texts),
    "metric_list": ("a list of `metric: NAME`", _mappings),
    "filter_list": ("a list of `name: NAME`", _mappings),
    "generation_kwargs": ("a mapping", lambda value: isinstance(value, dict)),
    "dataset_kwargs": ("a mapping, its data_files a path, a list of paths or one of these for each split", _kwargs),
}
"""What drank itself reads of a definition, in which form."""


def read_definition(path: Path) -> dict[str, Any]:
    """A harness YAML with its includes merged in, functions left as their names."""
    own = yaml.load(path.read_text("utf-8"), Loader=_Loader)
    if not isinstance(own, dict):
        raise ValueError(f"{path} is not a mapping of keys to values")
    if wrong := [f"{key} must be {must}" for key, (must, fits) in _FORMS.items() if own.get(key) is not None and not fits(own[key])]:
        raise ValueError(f"{path}: {'; '.join(wrong)}")
    includes = own.pop("include", [])
    merged: dict[str, Any] = {}
    for include in [includes] if isinstance(includes, str) else includes:
        merged |= read_definition(path.parent / include)
    return merged | own


def functions_of(path: Path) -> list[Path]:
    """Where the modules lie, if they lie beside a definition or what it includes, that their `!function MODULE.NAME` name."""
    named = re.compile(r"!function\s+[\"']?([\w.]+)\.\w+")
    found = (file.parent / f"{module.replace('.', '/')}.py" for file in included(path) for module in named.findall(file.read_text("utf-8")))
    return list(dict.fromkeys(found))


def included(path: Path) -> Iterator[Path]:
    """A definition with all that it includes."""
    yield path
    includes = yaml.load(path.read_text("utf-8"), Loader=_Loader).get("include", [])
    for include in [includes] if isinstance(includes, str) else includes:
        yield from included(path.parent / include)


def local_files(definition: dict[str, Any]) -> list[str]:
    """The data files of a definition that names local ones."""
    if definition.get("dataset_path") not in FORMATS.values():
        return []
    files = (definition.get("dataset_kwargs") or {}).get("data_files", [])
    groups = files.values() if isinstance(files, dict) else [files]
    return [found for group in groups for file in ([group] if isinstance(group, str) else group) for found in matched(str(file))]


def matched(file: str) -> list[str]:
    """The files that a pattern names, in order; a file, or a pattern that nothing matches, as it stands."""
    found = [] if Path(file).exists() or "://" in file else sorted(glob(file, recursive=True))  # noqa: PTH207  (pathlib refuses `**.json`)
    return [name for name in found if Path(name).is_file()] or [file]


def format_of(file: str) -> str | None:
    """What the harness calls the format of a data file, by its suffix; None where it is none of `FORMATS`."""
    name = Path(file).name.lower()
    return next((known for suffix, known in FORMATS.items() if name.endswith(suffix)), None)


def define(name: str, spec: Spec, items: Mapping[str, str | Path], scratch: str) -> dict[str, Any]:
    """The harness YAML of one task; what `datasets` prepares from local files goes to `scratch`, never to the user's cache."""
    if "embedded" in spec:
        definition = yaml_for(spec["embedded"], Path(items[name]).resolve())
    else:
        whole = definition_of(spec)
        definition = {"include": str(base_of(spec).resolve()), **spec.get("changes", {})} | _replace_data(whole, spec.get("data"))
        if "revision" in spec or ("data" not in spec and in_hub_cache(whole)):
            definition |= _pinned(whole, spec.get("revision", (whole.get("dataset_kwargs") or {}).get("revision")))
    if local_files(definition):
        files = by_plain_names(definition["dataset_kwargs"]["data_files"], Path(scratch) / f"{name}-data")
        definition["dataset_kwargs"] = definition["dataset_kwargs"] | {"data_files": files, "cache_dir": scratch}
    return definition | {"task": name} | ({"num_fewshot": spec["fewshot"]} if "fewshot" in spec else {})


def base_of(spec: Spec) -> Path:
    """The YAML file that a task which is not embedded starts from: the user's, or the installed harness's."""
    return Path(spec["yaml"]) if "yaml" in spec else harness_tasks()[spec["harness"]]


def definition_of(spec: Spec) -> dict[str, Any]:
    """What a task that is not embedded says, with what its group lays over it."""
    return read_definition(base_of(spec)) | spec.get("changes", {})


def in_hub_cache(base: dict[str, Any]) -> bool:
    """Whether the hub is switched off and its cache has the data of a definition, of which `datasets` finds only what it has prepared."""
    from huggingface_hub import constants

    name, options = str(base.get("dataset_path")), base.get("dataset_kwargs") or {}
    hub = constants.HF_HUB_OFFLINE and re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not Path(name).exists()
    return bool(hub and not base.get("custom_dataset") and commit_of({"hub": name, "revision": options.get("revision")}))


def _pinned(base: dict[str, Any], revision: str | None) -> dict[str, Any]:
    """What to lay over a definition so that it reads the hub's data at a revision, and without a network the ones in the local cache."""
    place = place_of({"hub": base["dataset_path"], "revision": revision})
    own = {key: value for key, value in (base.get("dataset_kwargs") or {}).items() if key != "revision"}
    options = own | {key: value for key, value in place.items() if key == "revision"}
    return {"dataset_path": place["path"], "dataset_kwargs": options}


def _replace_data(base: dict[str, Any], data: Mapping[str, str] | None) -> dict[str, Any]:
    """What to lay over a definition so that it reads local files: those of `data`, or its own if it names some."""
    if data is None:
        return {key: base[key] for key in ("dataset_path", "dataset_kwargs")} if local_files(base) else {}
    shots = base.get("fewshot_config") or {}
    return {
        "dataset_path": format_of(next(iter(data.values()))),
        "dataset_name": None,
        "custom_dataset": None,
        "dataset_kwargs": {"data_files": {split: str(Path(file).resolve()) for split, file in data.items()}},
        **{key: split if split in data else None for split, key in SPLITS.items()},
        "fewshot_split": base.get("fewshot_split") if base.get("fewshot_split") in data else None,
        **({"fewshot_config": None} if "split" in shots and shots["split"] not in data else {}),
    }
