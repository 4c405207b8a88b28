"""Groups and tags of lm-evaluation-harness: the tasks that a name stands for, and how their numbers make one; told without lm_eval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from drank.evaluation.zeroshot.definitions import METRICS, Function, Spec, read_definition
from drank.evaluation.zeroshot.names import harness_tags, harness_tasks, named_in, tagged_in
from drank.runtime.grouping import ROOT
from drank.runtime.suggestions import near

STRUCTURE = frozenset(("group", "group_alias", "task", "aggregate_metric_list", "metadata", "tag"))
"""What of a group's definition is about the group; the rest is laid over its tasks."""


@dataclass(frozen=True)
class Group:
    """The tasks beneath a group, and how they are added up: `by_size` weighs each by its items, else all alike; `version` is its own."""

    tasks: tuple[str, ...]
    by_size: bool = False
    version: Any = None


@dataclass
class Expansion:
    """The single tasks that names stand for, the groups that these make, the group files of a user's, and what is wrong, a line each."""

    tasks: dict[str, Spec] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def expanded(tasks: Mapping[str, Spec]) -> Expansion:
    """Groups and tags among tasks as the tasks beneath them, named GROUP/TASK, with a group GROUP/SUBGROUP for each inside another.

    What is no group stays as it is, also what is no task. Raises what reading a definition does.
    """
    found = Expansion()
    for name, spec in tasks.items():
        _Tree(name, spec, found).grow()
    return found


def _definition(path: Path) -> dict[str, Any]:
    """A definition, or that of a group, whose `task` is one or several."""
    told = read_definition(path)
    return told | {"task": _listed(told.get("task"))} if "group" in told else told


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _as_told(spec: Spec) -> dict[str, Any]:
    """A task without what groups add up of it."""
    return {key: value for key, value in spec.items() if key not in ("metric", "filter")}


class _Tree:
    """What one name of a configuration stands for."""

    def __init__(self, name: str, spec: Spec, found: Expansion) -> None:
        self.name, self.spec, self.found = name, spec, found

    @cached_property
    def beside(self) -> list[Path]:
        """The definitions beside a user's group and in the folders there, which a single task has nothing to do with."""
        own = Path(self.spec["yaml"]).parent if "yaml" in self.spec else None
        return [path for form in ("*.yaml", "*/*.yaml") for path in sorted(own.glob(form)) if path.is_file()] if own else []

    @cached_property
    def known(self) -> dict[str, Path]:
        """Where the tasks and groups among these are defined."""
        return named_in(self.beside)

    @cached_property
    def tags(self) -> dict[str, list[str]]:
        """The tasks under each of their tags."""
        return tagged_in(self.beside)

    def grow(self) -> None:
        """Add the tasks and groups to what is found."""
        harness = self.spec.get("harness")
        if harness is not None and harness not in harness_tasks() and harness in harness_tags():
            self._refuse_data(harness)
            self._group(self.name, {"task": harness_tags()[harness]}, {}, (harness,))
            return
        path = Path(self.spec["yaml"]) if "yaml" in self.spec else harness_tasks().get(harness or "")
        definition = _definition(path) if path and path.is_file() else {}
        if "group" not in definition:
            self.found.tasks[self.name] = self.spec
            return
        self._refuse_data(str(definition["group"]))
        self._file(path)
        self._group(self.name, definition, {}, (str(definition["group"]),))

    def _refuse_data(self, group: str) -> None:
        if "data" in self.spec:
            self._wrong(f"data names files of one task, and {group} is a group; name its tasks one by one, or write the group as YAML")

    def _group(self, label: str, told: Mapping[str, Any], changes: Mapping[str, Any], trail: tuple[str, ...]) -> list[str]:
        """The tasks beneath a group under a label, which may be that of another inside which it stands (`trail`)."""
        self.found.groups[label] = Group(())  # before those inside it
        over = {key: value for key, value in told.items() if key not in STRUCTURE} | dict(changes)
        beneath = list(dict.fromkeys(task for one in told["task"] for task in self._member(one, over, trail)))
        if not beneath:
            self._wrong(f"the group {trail[-1]} has no tasks")
        scored, by_size = self._aggregation(trail[-1], told)
        for task in beneath:
            spec = self.found.tasks[task]
            if other := [f"{spec[key]} and {value}" for key, value in scored.items() if spec.get(key, value) != value]:
                self._wrong(
                    f"{task} is in groups that add up {', '.join(other)}, and drank scores a task by one; name these groups instead"
                )
            self.found.tasks[task] = {**scored, **spec}
        self.found.groups[label] = Group(tuple(beneath), by_size, (told.get("metadata") or {}).get("version"))
        return beneath

    def _member(self, one: Any, changes: Mapping[str, Any], trail: tuple[str, ...]) -> Iterator[str]:
        """The tasks that one entry of a group's list stands for."""
        own = dict(one) if isinstance(one, Mapping) else {"task": one}
        name = str(own.pop("group", None) or own.get("task"))
        if isinstance(one, Mapping) and "group" in one and self._lookup(name) is None:
            yield from self._group(self._label(name), {**own, "task": _listed(own.get("task"))}, changes, (*trail, name))
            return
        own.pop("task", None)
        yield from self._named(name, {**changes, **own}, trail)

    def _named(self, name: str, changes: Mapping[str, Any], trail: tuple[str, ...]) -> Iterator[str]:
        place = self._lookup(name)
        if name in trail:
            self._wrong(f"the group {name} stands inside itself")
        elif place is None:
            local = f", nor beside the group: {', '.join(self.known)}" if self.known else ""
            close = near(name, {**harness_tasks(), **self.known})
            self._wrong(f"the group {trail[-1]} names {name!r}, which is no task, group or tag of the installed harness{close}{local}")
        elif isinstance(place, list):
            for task in place:
                yield from self._named(task, changes, (*trail, name))
        elif "group" in (definition := _definition(place)):
            self._file(place)
            yield from self._group(self._label(name), definition, changes, (*trail, name))
        else:
            yield from self._leaf(name, place, changes)

    def _leaf(self, name: str, path: Path, changes: Mapping[str, Any]) -> Iterator[str]:
        label, spec = self._label(name), {key: self.spec[key] for key in ("fewshot", "revision", "filter") if key in self.spec}
        spec |= {"yaml": str(path)} if path in self.beside else {"harness": name}
        spec |= {"changes": dict(changes)} if changes else {}
        if any(isinstance(value, Function) for value in changes.values()):
            self._wrong(f"a group gives {name} a function; name it in a definition of the task's own")
        if "include" in changes:
            self._wrong(f"a group gives {name} an include, which takes the place of its definition; write a definition of the task's own")
        if (before := self.found.tasks.setdefault(label, spec)) is not spec and _as_told(before) != _as_told(spec):
            self._wrong(f"{name} stands twice in the group, with other settings; name it once")
        yield label

    def _lookup(self, name: str) -> Path | list[str] | None:
        """Where a name is defined, or the tasks under a tag: beside the user's group first, as with the harness's `--include_path`."""
        return self.known.get(name) or self.tags.get(name) or harness_tasks().get(name) or harness_tags().get(name)

    def _label(self, name: str) -> str:
        return f"{self.name}{ROOT}{name}"

    def _aggregation(self, name: str, told: Mapping[str, Any]) -> tuple[dict[str, str], bool]:
        """The metric that a group adds up, by the first filter it names, and whether by size; where it says nothing the plain mean."""
        entries = _listed(told.get("aggregate_metric_list"))
        if not entries:
            return {}, False
        found = {entry.get("metric"): entry for entry in entries if isinstance(entry, Mapping)}
        metric = next((one for one in METRICS if one in found), None)
        if metric is None or found[metric].get("aggregation", "mean") != "mean":
            how = ", ".join(map(str, found)) if metric is None else f"the {found[metric]['aggregation']} of {metric}"
            self._wrong(f"the group {name} adds up {how}; drank adds up the mean of {', '.join(METRICS)}")
            return {}, False
        filters = _listed(found[metric].get("filter_list"))
        scored = {"metric": metric} | ({"filter": str(filters[0])} if filters and "filter" not in self.spec else {})
        return scored, bool(found[metric].get("weight_by_size", True))

    def _file(self, path: Path | None) -> None:
        if path is not None and (path in self.beside or str(path) == self.spec.get("yaml")):
            self.found.files.append(path)

    def _wrong(self, problem: str) -> None:
        self.found.problems.append(f"task {self.name}: {problem}")
