"""What a compressed model scores, from the records of its measurements: a table for the card, and the hub's `model-index`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from drank.corpora.beginnings import TEXT, WINDOW
from drank.models.card.markdown import table
from drank.models.card.places import TRANSFORMERS, Record, Row, alike, bos_of, by_place, tasks_of
from drank.runtime.grouping import AVERAGE, in_group

UNMEASURED = "Not measured yet: `drank evaluate` does so and writes the numbers here."

_SHOWN = ("perplexity", "kl_to_dense", "top1_agreement", "accuracy", "accuracy_norm", "tokens_per_second")
_INTERVALS = (
    "In brackets the 95 % interval, over windows for perplexity, KL and agreement, over items for accuracy; for tokens per second of the "
    "median over rounds."
)

_INDEXED = ("perplexity", "accuracy", "accuracy_norm")
"""What the hub is told: not the speed, which is that of a machine."""


def split(records: Iterable[Record], making: Mapping[str, Any] | None) -> tuple[list[Record], list[Record]]:
    """The records of the model that was made so, and those of the dense model it was made of; those of all others are left out.

    Names tell whose dense model it is, in the run that made the model. A folder that does not tell how it was made takes all.
    """
    own, dense = [], []
    told = {} if making is None else {key: making[key] for key in ("model", "date", "label", "ratio")}
    for record in records:
        how = record["provenance"].get("making")
        if how is None:
            theirs = "checkpoint" in record["provenance"]
            dense += [record] if not theirs and record["model"] == told.get("model", record["model"]) else []
        elif told == {key: how.get(key) for key in told}:
            own.append(record)
    return own, dense


def joined(before: Sequence[Record], now: Sequence[Record]) -> list[Record]:
    """Records with what was measured before and not again now, without the losses of single windows and items.

    An average is of the tasks that were measured together: where others stand beside it now, it is left out.
    """
    again = by_place(now)
    kept = [{**record, "results": [one.row for place, one in by_place([record]).items() if place not in again]} for record in before]
    found = [*kept, *({key: value for key, value in record.items() if key != "detail"} for record in now)]
    listed: dict[str, set[str]] = {}
    for record in found:
        listed.setdefault(bos_of(record), set()).update(tasks_of(record))
    for number, record in enumerate(found):
        if record["kind"] == "zeroshot" and tasks_of(record) != listed[bos_of(record)]:
            found[number] = {**record, "results": [row for row in record["results"] if row["dataset"] != AVERAGE]}
    return [record for record in found if record["results"]]


def numbers(own: Sequence[Record], dense: Sequence[Record]) -> str:
    """The table of what was measured, under it on what and how.

    The dense model's numbers stand beside it where there are any of the same sample, taken alike.
    """
    found, theirs = by_place(own), by_place(dense)
    shown = {place: one for place, one in found.items() if place.metric in _SHOWN and not in_group(place.dataset)}
    if not shown:
        return UNMEASURED
    beside = {place: theirs[place].row for place, one in shown.items() if place in theirs and alike(one, theirs[place])}
    head = ["measured on", "metric", "this model:", *(["dense:"] if beside else []), "sample:"]
    rows = []
    for place, (row, _) in shown.items():
        values = [_value(row), *([_value(beside[place]) if place in beside else "–"] if beside else [])]
        begun = ("" if place.bos == TEXT else f" (bos: {place.bos})") + ("" if place.engine == TRANSFORMERS else f" (by {place.engine})")
        rows.append([place.dataset, _metric(row) + begun, *values, _sample(row)])
    return f"{table(head, rows)}\n\n{_conditions(own)}"


def model_index(name: str, own: Sequence[Record]) -> list[dict[str, Any]] | None:
    """The numbers as the hub reads them from the front matter; None where there are none.

    They are those read as the model's family needs, or else as published: nothing there says how windows began.
    """
    results = [
        {
            "task": {"type": "text-generation"},
            "dataset": {"type": row["dataset"], "name": row["dataset"]},
            "metrics": [{"type": row["metric"], "name": _metric(row), "value": row["value"]}],
        }
        for record in own
        if bos_of(record) == (WINDOW if record["provenance"].get("needs_bos") else TEXT)
        for row in record["results"]
        if row["metric"] in _INDEXED and not in_group(row["dataset"])
    ]
    return [{"name": name, "results": results}] if results else None


def _metric(row: Row) -> str:
    names = {
        "kl_to_dense": "KL to the dense model, nats per token",
        "top1_agreement": "agreement with the dense model",
        "accuracy_norm": "accuracy, normalised by length",
        "tokens_per_second": "tokens per second",
    }
    return names.get(row["metric"], str(row["metric"]))


def _value(row: Row) -> str:
    """A number with its interval, accuracies in per cent."""
    share = row["metric"].startswith("accuracy") or row["metric"] == "top1_agreement"
    fine = 3 if row["metric"] == "kl_to_dense" else 2 if row["value"] < 1000 else 0
    scale, digits, unit = (100, 1, " %") if share else (1, fine, "")
    value, low, high = (None if number is None else scale * number for number in (row["value"], row.get("ci_low"), row.get("ci_high")))
    interval = "" if low is None or high is None else f" ({low:,.{digits}f} – {high:,.{digits}f})"
    return f"{value:,.{digits}f}{unit}{interval}"


def _sample(row: Row) -> str:
    """What the number was taken of, and what guessing scores."""
    if row.get("count") is None:
        return "–"
    unit = "items" if row["metric"].startswith("accuracy") else "repeats" if row["metric"] == "tokens_per_second" else "tokens"
    chance = "" if row.get("chance") is None else f", chance {100 * row['chance']:.1f} %"
    return f"{row['count']:,} {unit}{chance}"


def _conditions(own: Sequence[Record]) -> str:
    """On what and with which settings each kind was measured."""
    lines = [_INTERVALS]
    for record in own:
        told = record["provenance"]
        machine = told["machine"]
        place = machine.get("gpu") or f"{machine['cpu']}, {told['threads']} threads"
        settings = ", ".join(f"{key} {value}" for key, value in told["settings"].items() if isinstance(value, str | int | float))
        words = [f"{place}", f"{told['date'][:10]}", f"drank {told['drank']}", *([settings] if settings else [])]
        lines.append(f"- {record['kind']}: {'; '.join(words)}")
    return "\n".join(lines).replace("\n-", "\n\n-", 1)
