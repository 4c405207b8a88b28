"""What was compared: every method of the run with all that makes it, and what compressing by it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from drank.reporting.names import method_name, percent
from drank.reporting.recipes import follows, method_in, ranks, reads, texts
from drank.reporting.records import Record

Chains = Mapping[str, Mapping[str, Mapping[str, Mapping[str, str]]]]
"""By model, method and ratio as it stands in paths: the file of Snakemake's own timing for every step on the way to a model."""


class Row(NamedTuple):
    """One method at one ratio of one model, in words."""

    model: str
    method: str
    source: str
    ratio: str
    ranks: str
    reads: str
    follows: str
    texts: str
    seconds: str
    steps: str


def methods(records: Sequence[Record], chains: Chains) -> list[Row]:
    """A row for each model, method and ratio that was measured, in the order of the records."""
    first = {(record.model, record.method, record.ratio): record for record in reversed(records)}
    return [_row(record, chains) for record in reversed(first.values())]


def _row(record: Record, chains: Chains) -> Row:
    settings, origin = record.provenance["method"], record.provenance
    seconds = {step: taken for step, file in _chain(record, chains).items() if (taken := seconds_in(file)) is not None}
    missing = len(seconds) < len(_chain(record, chains))
    return Row(
        record.model,
        method_name(record.method),
        method_in(settings).paper,
        percent(record.ratio),
        ranks(settings),
        reads(settings),
        follows(settings),
        texts(origin),
        f"{'≥ ' if missing else ''}{sum(seconds.values()):.0f}" if seconds else "",
        ", ".join(f"{step} {taken:.0f}" for step, taken in seconds.items()),
    )


def _chain(record: Record, chains: Chains) -> Mapping[str, str]:
    return chains.get(record.model, {}).get(record.method, {}).get(f"{record.ratio:g}", {})


def seconds_in(file: str | Path) -> float | None:
    """The wall time in a benchmark file of Snakemake's; None where there is none, as after somebody has cleared the folder."""
    try:
        head, *rows = Path(file).read_text("utf-8").splitlines()
        return float(dict(zip(head.split("\t"), rows[-1].split("\t"), strict=True))["s"])
    except (FileNotFoundError, ValueError, KeyError, IndexError):
        return None
