"""What a record must look like: one JSON schema, and what no schema can say (finite numbers, fields that contradict each other)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

SCHEMA_VERSION = 2
"""Goes up with every change of the schema that old records do not meet."""


def _object(optional: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    """A JSON schema object with these properties and no others; all but the `optional` ones must be there."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": required}


_NAME = {"type": "string", "minLength": 1}
_NUMBER = {"type": "number"}
_ONE = {"type": "integer", "minimum": 1}
_COUNT = {"type": "integer", "minimum": 0}
_POSITIVE = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1}}

SCHEMA: dict[str, Any] = _object(
    schema={"const": SCHEMA_VERSION},
    kind={"enum": ["perplexity", "zeroshot", "throughput"]},
    model=_NAME,
    method=_NAME,
    ratio={"type": "number", "minimum": 0, "exclusiveMaximum": 1},
    size=_object(parameters=_COUNT, bytes=_COUNT, ratio_stored={"type": ["number", "null"]}, ratio_model=_NUMBER),
    results={
        "type": "array",
        "minItems": 1,
        "items": _object(
            optional=("ci_low", "ci_high", "count", "stderr", "chance"),
            dataset=_NAME,
            metric=_NAME,
            value=_NUMBER,
            ci_low=_NUMBER,
            ci_high=_NUMBER,
            count=_COUNT,
            stderr=_NUMBER,
            chance=_NUMBER,
        ),
    },
    detail={"type": "object"},
    provenance=_object(
        optional=("checkpoint", "measured", "needs_bos", "overlap", "overfitting", "random_weights", "tokens_per_channel"),
        needs_bos={"type": "boolean"},
        random_weights={"const": True},
        overlap={"type": "object", "additionalProperties": {"type": "object", "additionalProperties": {"type": "number"}}},
        overfitting={"type": "object", "required": ["text"]},
        tokens_per_channel={"type": "number", "exclusiveMinimum": 0},
        drank=_NAME,
        git={"anyOf": [{"type": "null"}, _object(commit=_NAME, dirty={"type": ["boolean", "null"]})]},
        packages={"type": "object", "additionalProperties": {"type": "string"}},
        platform=_NAME,
        machine=_object(cpu=_NAME, cores=_ONE, memory_bytes=_COUNT, gpu={"type": ["string", "null"]}),
        device=_NAME,
        threads=_ONE,
        date={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"},
        settings={"type": "object"},
        method={"type": "object", "properties": {"title": _NAME}, "required": ["title", "weighting", "allocator"]},
        calibration={"type": ["object", "null"]},
        making={"type": ["object", "null"]},
        inputs={"type": "object", "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
        measured={"type": "object", "additionalProperties": {"type": "object", "required": ["date", "seconds", "peak_memory_bytes"]}},
        checkpoint={"type": "object", "properties": {"source": {"type": "object"}}, "required": ["source", "files"]},
        seconds={"type": "number", "minimum": 0},
        peak_memory_bytes=_COUNT,
    ),
) | {
    "if": {"properties": {"kind": {"const": "perplexity"}}},
    "then": {
        "properties": {
            "detail": {
                "additionalProperties": {
                    "type": "object",
                    "properties": {"window_loss": {"type": "array", "minItems": 1, "items": _NUMBER}, "window_tokens": _POSITIVE},
                    "required": ["window_loss", "window_tokens"],
                }
            }
        }
    },
}
"""The JSON schema of a record. `detail` belongs to its kind; perplexity must hold the windows that the intervals are made of."""


class RecordError(ValueError):
    """A record that does not meet the schema or holds numbers no table may show."""


def check(data: Any, source: str) -> None:
    """Raise RecordError with every way in which `data` is not a record."""
    from jsonschema import Draft202012Validator

    broken = Draft202012Validator(SCHEMA).iter_errors(data)
    problems = sorted(f"{error.json_path.removeprefix('$.')}: {error.message[:200]}" for error in broken)
    problems = problems or [*_non_finite(data, ""), *_inconsistent(data)]
    if problems:
        about = "/".join(str(data.get(key, "?")) for key in ("kind", "model", "method", "ratio")) if isinstance(data, dict) else "no object"
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise RecordError(
            f"{source} ({about}) is not a record that can be used:{listed}\nRepair what measured it, delete the file and run again"
        )


def _non_finite(node: Any, path: str) -> Iterator[str]:
    """A line for every NaN or infinity below `node`, with the data set and metric of a result in place of its number."""
    if isinstance(node, float) and not math.isfinite(node):
        yield f"{path} is {node}, not a finite number"
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _non_finite(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            label = f"{value['dataset']} {value['metric']}" if isinstance(value, dict) and {"dataset", "metric"} <= value.keys() else index
            yield from _non_finite(value, f"{path}[{label}]")


def _inconsistent(data: dict[str, Any]) -> Iterator[str]:
    """A line for every pair of fields that meet the schema alone but contradict each other."""
    seen: set[tuple[str, str]] = set()
    for row in data["results"]:
        name = (row["dataset"], row["metric"])
        if name in seen:
            yield f"results[{' '.join(name)}] is there twice"
        seen.add(name)
        if not row.get("ci_low", row["value"]) <= row["value"] <= row.get("ci_high", row["value"]):
            yield f"results[{' '.join(name)}]: value {row['value']} lies outside its interval [{row.get('ci_low')}, {row.get('ci_high')}]"
    for corpus, windows in data["detail"].items() if data["kind"] == "perplexity" else ():
        losses, tokens = len(windows["window_loss"]), len(windows["window_tokens"])
        if losses != tokens:
            yield f"detail.{corpus}: {losses} window losses for {tokens} window token counts"
