"""Where what a task reads lies: files of this machine, or a hub."""

from __future__ import annotations

from pathlib import Path

from drank.evaluation.zeroshot.definitions import Spec, definition_of, functions_of, included, local_files
from drank.evaluation.zeroshot.groups import expanded


def files_of(spec: Spec) -> list[str]:
    """The files on this machine that a task or group reads: a user's definition, what it includes, its functions, and local data, in order.

    Raises what reading a definition does.
    """
    found = expanded({"task": spec})
    groups = [str(file) for path in found.files for file in included(path)]
    return list(dict.fromkeys([*groups, *(file for one in found.tasks.values() for file in _files_of(one))]))


def _files_of(spec: Spec) -> list[str]:
    if "yaml" not in spec:
        return [*map(str, spec.get("data", {}).values()), *(local_files(definition_of(spec)) if "changes" in spec else [])]
    own = Path(spec["yaml"])
    functions = [file for file in functions_of(own) if file.is_file()]
    return [*map(str, included(own)), *map(str, functions), *local_files(definition_of(spec))]


def needs_hub(spec: Spec) -> bool:
    """Whether the data of a task come from a hub: neither built by drank nor local files of the config or of the user's definition."""
    if "yaml" in spec or "changes" in spec:  # a group may lay local files over a task of the harness
        return not local_files(definition_of(spec))
    return "embedded" not in spec and "data" not in spec
