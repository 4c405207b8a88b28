"""What a task is by its content: all that decides what it asks, wherever its files lie and whatever the configuration calls it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drank.corpora import commit_of
from drank.evaluation.zeroshot.definitions import Spec, base_of, definition_of, functions_of, local_files, matched
from drank.evaluation.zeroshot.groups import expanded
from drank.runtime.content import CONTENTS
from drank.runtime.content import content_of as read_once
from drank.testbed.tasks import yaml_for


def content_of(spec: Spec, items: str | Path | None = None) -> dict[str, Any] | None:
    """The content of a task as JSON holds it, with a hash in place of each file; `items` is the file of an embedded one.

    None where that cannot be told: its data are no files of this machine and no commit in the hub's cache, or it calls code of others.
    """
    if "embedded" in spec:
        assert items is not None
        return {"definition": _without_places(yaml_for(spec["embedded"], "")), "data": {"test": _hashed(items)}}
    found = expanded({"task": spec})
    if found.groups:
        beneath = {name: content_of(one) for name, one in found.tasks.items()}
        return None if None in beneath.values() else {"groups": {name: asdict(group) for name, group in found.groups.items()}, **beneath}
    definition, functions = definition_of(spec), functions_of(base_of(spec))
    if "revision" in spec:
        definition["dataset_kwargs"] = (definition.get("dataset_kwargs") or {}) | {"revision": spec["revision"]}
    if not all(file.is_file() for file in functions):
        return None
    data = {"instead": _hashed(spec["data"])} if spec.get("data") else _data_of(definition)
    told = {"definition": _without_places(definition), "functions": [read_once(file) for file in functions], "data": data}
    return (
        None if data is None else told | {key: spec.get(key) for key in ("fewshot", *(key for key in ("metric", "filter") if key in spec))}
    )


def _without_places(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A definition without its name and without the paths of its data, which are told by their content."""
    told = {key: value for key, value in definition.items() if key != "task"}
    if local_files(dict(definition)):
        told["dataset_kwargs"] = {key: value for key, value in told["dataset_kwargs"].items() if key != "data_files"}
    return told


def _data_of(definition: dict[str, Any]) -> Any:
    """The content of the data that a definition names itself; None where it cannot be told."""
    name, options = str(definition.get("dataset_path")), definition.get("dataset_kwargs") or {}
    if definition.get("custom_dataset"):
        return None
    if folders := [place for place in (name, options.get("data_dir")) if place and Path(place).is_dir()]:
        return {"folders": [CONTENTS.of(place) for place in folders], "files": options.get("data_files")}
    if files := local_files(definition):
        return _hashed(options["data_files"]) if all(Path(file).is_file() for file in files) else None
    if Path(name).exists() or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        return None
    return commit_of({"hub": name, "revision": options.get("revision")}) or None


def _hashed(files: Any) -> Any:
    """Data files, one or a pattern, a list or a mapping of either, by their format and hash."""
    if isinstance(files, Mapping):
        return {split: _hashed(file) for split, file in files.items()}
    if isinstance(files, list):
        return [_hashed(file) for file in files]
    return [Path(files).suffix, read_once(files)] if Path(files).is_file() else [_hashed(file) for file in matched(files)]
