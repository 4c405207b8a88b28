"""The schema of configurations: defaults filled in, and what breaks it in words that name the place."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from drank.runtime.suggestions import near


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
        elif place.startswith("ratios."):
            yield f"{place}: {error.instance!r} is no ratio: the share of parameters to remove, between 0 and 1, such as 0.2 (20 %)"
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
