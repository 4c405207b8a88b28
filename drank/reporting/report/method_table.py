"""What was compared: every method of the run with all that makes it, and what compressing by it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from drank.models.theirs import rounds
from drank.reporting.names import method_name, percent
from drank.reporting.recipes import checkpoint, follows, given, method_in, ranks, reads, texts
from drank.reporting.records import Record

Chains = Mapping[str, Mapping[str, Mapping[str, Mapping[str, str]]]]
"""By model, method and ratio as it stands in paths: the file of Snakemake's own timing for every step on the way to a model."""


class Row(NamedTuple):
    """One method on one model, in words; what differs between ratios is said for each."""

    method: str
    source: str
    ranks: str
    reads: str
    follows: str
    texts: str
    seconds: list[str]
    address: str = ""


def methods(
    records: Sequence[Record], chains: Chains, anchor: Callable[[str, str, float], str] = lambda model, method, ratio: ""
) -> list[tuple[str, list[Row]]]:
    """For each model a row for every method that was measured, in the order of the records; `anchor` gives the address of its files."""
    found: dict[str, dict[str, dict[float, Record]]] = {}
    for record in records:
        found.setdefault(record.model, {}).setdefault(record.method, {}).setdefault(record.ratio, record)
    return [
        (model, [_row(by_ratio, chains)._replace(address=anchor(model, label, next(iter(by_ratio)))) for label, by_ratio in rows.items()])
        for model, rows in found.items()
    ]


def _row(by_ratio: Mapping[float, Record], chains: Chains) -> Row:
    first = next(iter(by_ratio.values()))
    origins = {ratio: record.provenance for ratio, record in by_ratio.items()}

    def said(tell: Callable[[dict[str, Any]], str], part: str | None = "method") -> str:
        return _over_ratios({ratio: tell(origin[part] if part else origin) for ratio, origin in origins.items()})

    theirs, method = checkpoint(first.provenance), method_in(first.provenance["method"])
    whose = "" if rounds(method.checkpoint) else "somebody else's checkpoint: "
    plans = said(given)
    taken = [_seconds(record, chains) for record in by_ratio.values()]
    return Row(
        method=method_name(first.method),
        source=f"{whose}{theirs}" if theirs else method.paper,
        ranks=said(ranks) + (f" ({plans})" if plans else ""),
        reads=said(reads),
        follows=said(follows),
        texts=said(texts, part=None),
        seconds=[line for line in taken if line],
    )


def _over_ratios(words: Mapping[float, str]) -> str:
    """What is said at every ratio once, or at each ratio apart."""
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{percent(ratio)}: {text or '–'}" for ratio, text in words.items())


def _seconds(record: Record, chains: Chains) -> str:
    """`20 %: 151 (calibrate 12, spectrum 5, compress 134)`, at least so many where a step's time is no longer there; empty without any."""
    taken = seconds_by_step(chains, record.model, record.method, record.ratio)
    steps = {step: seconds for step, seconds in taken.items() if seconds is not None}
    if not steps:
        return ""
    total = f"{'≥ ' if len(steps) < len(taken) else ''}{sum(steps.values()):.0f}"
    return f"{percent(record.ratio)}: {total} ({', '.join(f'{step} {taken:.0f}' for step, taken in steps.items())})"


def seconds_by_step(chains: Chains, model: str, method: str, ratio: float) -> dict[str, float | None]:
    """What each step on the way to a model took, None where that is no longer there; empty where no steps are known."""
    return {step: seconds_of(file) for step, file in chains.get(model, {}).get(method, {}).get(f"{ratio:g}", {}).items()}


def seconds_of(file: str | Path) -> float | None:
    """The time that a step took whose one job has its benchmark in this file, or that all jobs took into which it was last divided, added.

    Of a step in four shares `file` without its ending is a folder with `of-4.tsv`, of the job that added them up, and `1-of-4.tsv` and so
    on. None where a time is no longer there.
    """
    whole = Path(file)
    done = [*whole.parent.glob(whole.name), *whole.with_suffix("").glob("of-*.tsv")]
    last = max(done, key=lambda path: path.stat().st_mtime_ns, default=whole)
    shares = int(last.stem.removeprefix("of-")) if last.parent != whole.parent else 0
    taken = [seconds_in(last), *(seconds_in(last.with_name(f"{share}-{last.name}")) for share in range(1, shares + 1))]
    return None if None in taken else sum(seconds for seconds in taken if seconds is not None)


def seconds_in(file: str | Path) -> float | None:
    """The wall time in a benchmark file of Snakemake's; None where there is none, as after somebody has cleared the folder."""
    try:
        head, *rows = Path(file).read_text("utf-8").splitlines()
        return float(dict(zip(head.split("\t"), rows[-1].split("\t"), strict=True))["s"])
    except (FileNotFoundError, ValueError, KeyError, IndexError):
        return None
