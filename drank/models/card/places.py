"""Where a number of a card stands, and which number of the dense model may stand beside it: one of the same sample, taken alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from drank.corpora.beginnings import convention_in
from drank.runtime.grouping import AVERAGE, in_group

Record = Mapping[str, Any]
"""A measurement, as `Record.to_dict` of `drank.reporting.records` gives it."""

Row = Mapping[str, Any]
"""A number of it."""

TRANSFORMERS = "transformers"
"""What runs models where nothing else is said."""

_OF_A_SPEED = ("batch", "prompt", "generate", "repeats")
"""The settings that decide how fast a model is; its accuracy and its perplexity hang on no batch."""


class Place(NamedTuple):
    """Kind, data set and metric of a number, and by what numbers of another stand beside none: how windows began, what ran the model."""

    kind: str
    dataset: str
    metric: str
    bos: str
    engine: str


class Number(NamedTuple):
    """A row, and the record that it is of."""

    row: Row
    record: Record


def by_place(records: Sequence[Record]) -> dict[Place, Number]:
    """The numbers of records, each in its place; of several in one the last."""
    return {
        Place(record["kind"], row["dataset"], row["metric"], bos_of(record), _engine(record)): Number(row, record)
        for record in records
        for row in record["results"]
    }


def alike(one: Number, two: Number) -> bool:
    """Whether two numbers of one place are of the same sample, taken in the same way: what they differ by is the model then."""
    return _taken(one) == _taken(two)


def tasks_of(record: Record) -> set[str]:
    """The tasks and groups that a record has accuracies of, of which its average is the mean."""
    named = (row["dataset"] for row in record["results"] if record["kind"] == "zeroshot" and row["metric"] == "accuracy")
    return {name for name in named if name != AVERAGE and not in_group(name)}


def bos_of(record: Record) -> str:
    """How windows and prompts began: numbers of another convention stand beside none."""
    return convention_in(_settings(record))


def _engine(record: Record) -> str:
    """What ran the model where it was timed: a speed in one engine stands beside none in another."""
    return str(_settings(record).get("engine", TRANSFORMERS))


def _settings(record: Record) -> Mapping[str, Any]:
    settings: Mapping[str, Any] = record["provenance"].get("settings", {})
    return settings


def _taken(number: Number) -> tuple[Any, ...]:
    """The sample of a number, the precision that the model ran in, and what else decides such a number: of a speed also the machine."""
    (row, record), told = number, number.record["provenance"]
    settings, name, sample = _settings(record), row["dataset"], (row.get("count"), _precision(record))
    if record["kind"] == "perplexity":
        return (*sample, settings.get("length"), told.get("inputs", {}).get(f"text {name}"))
    if record["kind"] == "zeroshot":
        specs = settings.get("tasks", {})
        return (*sample, {task: specs.get(task) for task in (tasks_of(record) if name == AVERAGE else (name,))})
    machine = told.get("machine", {})
    place = (told.get("device"), told.get("threads"), machine.get("cpu"), machine.get("gpu"))
    return (*sample, *place, *(settings.get(key) for key in _OF_A_SPEED))


def _precision(record: Record) -> float | None:
    """Bytes of a parameter as the model ran, by which a record counts its size."""
    size = record.get("size")
    return size["bytes"] / size["parameters"] if size else None
