"""The schema of configurations: what values mean, defaults filled in, and what breaks it in words that name the place."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from drank.runtime.suggestions import near

WORDS = {**dict.fromkeys(("true", "yes", "on"), True), **dict.fromkeys(("false", "no", "off"), False)}
"""What a truth value may be written as."""

NOTHING = ("", "~", "null")
"""What no value may be written as."""

_NUMBER = re.compile(r"[-+]?(0|[1-9](_?[0-9])*)(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+([eE][-+]?[0-9]+)?")


def meant(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """A part of a configuration with its texts as what the schema takes in their place: numbers, truth values, nothing.

    What the schema takes as text stays text, `2`, `on` and `010` too, and what is none of these stays for `schema_problems`.
    """
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, Mapping):
        known, other = schema.get("properties", {}), schema.get("additionalProperties")
        parts = {key: known.get(key, other if isinstance(other, Mapping) else {}) for key in value}
        return {str(key): meant(entry, parts[key], root) for key, entry in value.items()}
    if isinstance(value, list):
        return [meant(entry, schema.get("items", {}), root) for entry in value]
    kinds = _kinds(schema)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # which no part of the schema takes
    if isinstance(value, float) and value.is_integer() and "integer" in kinds:
        return int(value)
    return _read(value, kinds) if isinstance(value, str) and kinds else value


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """The types that a part of the schema names."""
    found = schema.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def _read(text: str, kinds: list[str]) -> Any:
    if {"string", "number", "boolean"} <= set(kinds):  # of a program that drank passes it on to: what it looks like
        found = (_read(text, [kind]) for kind in ("null", "boolean", "number"))
        return next((value for value in found if value is not text), text)
    if text.lower() in NOTHING and ("null" in kinds or "string" not in kinds):
        return None
    if "string" in kinds:
        return text
    if "boolean" in kinds:
        return WORDS.get(text.lower(), text)
    if not {"integer", "number"}.intersection(kinds) or not _NUMBER.fullmatch(text):
        return text
    if text.lstrip("+-").replace("_", "").isdigit():
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        return text
    return int(number) if number.is_integer() and "integer" in kinds else number


def fill(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> None:
    """Fill the defaults of a part of the schema into `value`, in place; `root` is the whole schema, where its references lead."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if not isinstance(value, dict):
        return
    for key, part in schema.get("properties", {}).items():
        if "default" in part:
            value.setdefault(key, copy.deepcopy(part["default"]))
        if key in value:
            fill(value[key], part, root)
    if isinstance(schema.get("additionalProperties"), dict):
        for key in value.keys() - schema.get("properties", {}).keys():
            fill(value[key], schema["additionalProperties"], root)


def schema_problems(config: dict[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """A line for everything that breaks the schema."""
    for error in jsonschema.Draft202012Validator(schema).iter_errors(config):
        place = ".".join(map(str, error.absolute_path)) or "top level"
        if error.validator == "additionalProperties":
            known = error.schema["properties"]
            yield from (f"{place}: key {key!r} is unknown{near(key, known)}" for key in error.instance.keys() - known.keys())
        elif error.validator == "oneOf":
            choices = [" and ".join(choice["required"]) for choice in error.schema["oneOf"]]
            yield f"{place}: needs exactly one of {', '.join(choices)}"
        elif error.validator == "contains":
            yield f"{place}: {error.instance!r} lacks {error.schema['contains']['const']!r}, beside which all others stand; add it"
        elif place.startswith("ratios."):
            yield f"{place}: {error.instance!r} is no ratio: the share of parameters to remove, between 0 and 1, such as 0.2 (20 %)"
        elif error.validator == "type" and isinstance(error.instance, str) and {"integer", "number"}.intersection(_kinds(error.schema)):
            kind = "integer" if "integer" in _kinds(error.schema) else "number"
            yield f"{place}: {error.instance!r} is no {kind}; write it in decimal digits without a leading zero, such as 8, 0.5 or 1e-4"
        else:
            yield f"{place}: {error.message}"


def fitting_parts(config: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """A copy where the defaults replace what breaks the schema; None where a whole section would be missing."""
    config = copy.deepcopy(config)
    validator = jsonschema.Draft202012Validator(schema)
    while True:
        errors = (e for e in validator.iter_errors(config) if e.validator not in ("minItems", "minProperties"))
        error = next(errors, None)
        if error is None:
            fill(config, schema, schema)
            return config
        if error.validator == "additionalProperties":
            del error.instance[next(key for key in error.instance if key not in error.schema["properties"])]
        elif error.validator == "propertyNames" or not error.absolute_path:
            return None
        else:
            *parents, last = error.absolute_path
            node: Any = config
            for key in parents:
                node = node[key]
            del node[last]
