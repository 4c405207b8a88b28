"""YAML and JSON files of keys and values as somebody wrote them: every scalar as its text, and no key twice.

YAML 1.1 takes `1e-4` for text, `on` and `no` for truth values, `010` for eight and `2024-01-01` for a date, and of a key that is given
twice the last. Here a key is what stands there, whatever YAML makes of it, and what a value means is for its reader to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

from drank.runtime.nodes import DEEPEST, MOST, circular, compose, extent, nodes

_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map", "merge", "value")}
"""The tags of what stands there without one, or with one that changes nothing: all values are read as their text."""

_MERGE = "tag:yaml.org,2002:merge"


class MappingError(ValueError):
    """A file that is no mapping of keys to values, with everything that is wrong with it, a line each in `problems`."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def read_mapping(path: str | Path) -> dict[str, Any]:
    """What a YAML or JSON file says, in nested dicts and lists: of YAML all scalars as their text (of an empty one None), JSON as it is.

    Raises MappingError, naming the file and its lines, for what cannot be read, for keys that are given twice and for tags.
    """
    path = Path(path)
    text = _text(path)
    try:
        found, written = json.loads(text, parse_constant=_no_number), text.replace("\t", " ")  # for YAML tabs are no blanks
        root = compose(written)
    except (ValueError, RecursionError):
        root, found = _composed(path, text), None
    except yaml.YAMLError:  # JSON that is no YAML, such as keys of a thousand characters: nothing tells its lines
        return _json(path, text)
    if not isinstance(root, yaml.MappingNode):
        what = "is empty" if root is None else "has no keys at its top level"
        raise MappingError([f"{path} {what}; write `key: value` lines, the keys at the start of a line"])
    if problems := list(_problems(root, path)):
        raise MappingError(problems)
    value: dict[str, Any] = _value(root) if found is None else found
    return value


def given_twice(path: str | Path) -> list[str]:
    """A line for every key that a YAML file gives twice, whatever its tags mean to others."""
    try:
        root = compose(_text(Path(path)))
    except yaml.YAMLError:
        return []
    return list(_twice(root, Path(path))) if root is not None else []


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        byte = path.read_bytes()[error.start]
        raise MappingError([f"{path}, line {line}: byte {byte:#x} is no UTF-8; save the file in UTF-8"]) from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _composed(path: Path, text: str) -> Any:
    try:
        return compose(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        number = min(mark.line, text.count("\n")) if mark else None  # of what ends too early libyaml names the line after
        where = f", line {number + 1}" if number is not None else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        line = text.split("\n")[number] if number is not None else ""
        tab = "\t" in line[: len(line) - len(line.lstrip())]
        remedy = "indent by spaces, not by tabs" if tab else "values with a colon, brackets or a # in them need quotes"
        raise MappingError([f"{path}{where}: no valid YAML: {problem}; {remedy}"]) from None


def _json(path: Path, text: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise MappingError([f"{path}: key {key!r} is given twice; keep one" for key in twice])
        return dict(pairs)

    found = json.loads(text, object_pairs_hook=once)
    if not isinstance(found, dict):
        raise MappingError([f"{path} has no keys at its top level"])
    return found


def _problems(root: Any, path: Path) -> Iterator[str]:
    if (node := circular(root)) is not None:
        yield f"{path}, line {node.start_mark.line + 1}: an alias leads back to what it stands in; write out what is meant"
        return
    values, depth = extent(root)
    if values > MOST or depth > DEEPEST:
        told = f"{values} values, {depth} deep, with its aliases written out"
        yield f"{path} says {told}, and no more than {MOST}, {DEEPEST} deep, are read; shorten it"
        return
    yield from _twice(root, path)
    for node in nodes(root):
        where = f"{path}, line {node.start_mark.line + 1}"
        if node.tag not in _PLAIN:
            yield f"{where}: the tag {node.tag.replace('tag:yaml.org,2002:', '!!')} means nothing here; leave it out"
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    yield f"{where}: a list or mapping stands where a key should; write `key: value`"
                elif key.tag == _MERGE and not all(isinstance(part, yaml.MappingNode) for part in _merged(value)):
                    yield f"{where}: `<<` takes in mappings alone; name an anchor of one, such as `<<: *name`"


def _twice(root: Any, path: Path) -> Iterator[str]:
    for node in nodes(root):
        seen: dict[str, int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                if key.value in seen:
                    lines = f"lines {seen[key.value]} and {line}" if seen[key.value] != line else f"line {line}"
                    yield f"{path}, {lines}: key {key.value!r} is given twice, and only one would count; put both in one, or drop one"
                seen.setdefault(key.value, line)


def _merged(node: Any) -> list[Any]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def _value(node: Any) -> Any:
    if isinstance(node, yaml.MappingNode):
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for part in reversed(_merged(value)):  # of several the first counts
                    merged |= _value(part)
        return merged | {key.value: _value(value) for key, value in node.value if key.tag != _MERGE}
    if isinstance(node, yaml.SequenceNode):
        return [_value(part) for part in node.value]
    return None if node.value == "" and not node.style else node.value
