"""The tidy table of all results: a row for each model, method, ratio, data set and metric, paired comparisons among them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from drank.reporting.comparisons import PAIRED, comparisons, mismatches
from drank.reporting.contests import Run, contests, kind_text
from drank.reporting.names import unique
from drank.reporting.recipes import checkpoint, follows, texts
from drank.reporting.records import Record
from drank.runtime.files import write_text
from drank.variants import without

COLUMNS = {
    "model": "str",
    "method": "str",
    "ratio": "float64",
    "dataset": "str",
    "metric": "str",
    "value": "float64",
    "ci_low": "float64",
    "ci_high": "float64",
    "count": "Int64",
    "parameters": "int64",
    "bytes": "int64",
    "ratio_stored": "float64",
    "ratio_model": "float64",
    "stderr": "float64",
    "chance": "float64",
    "calibration": "str",
    "follows": "str",
    "checkpoint": "str",
    "compress_seconds": "float64",
    "device": "str",
    "kind": "str",
    "p": "float64",
    "p_holm": "float64",
    "detectable": "float64",
    "rival": "str",
    "place": "Int64",
    "draws": "Int64",
    "draw_mean": "float64",
    "spread": "float64",
    "weights": "str",
}
"""The columns of a summary in order, with their dtypes."""

KINDS = ("perplexity", "zeroshot", "throughput")


class SummaryError(ValueError):
    """Records that cannot stand in one table."""


def summarise(
    records: Iterable[Record],
    methods: Sequence[str] = (),
    models: Sequence[str] = (),
    among: Collection[Run] | None = None,
    on: Collection[str] | None = None,
) -> pd.DataFrame:
    """The summary of the records, ordered by `models`, `methods` (what these do not name follows by name) and ratio.

    Paired rows compare each method with dense, with SVD-LLM at its ratio and with the best other method of its kind, on the same windows
    or items: `perplexity_minus_…`, `log_perplexity_gap_to_dense`, `log_perplexity_minus_best` (nats per token) and `accuracy_minus_…`.
    Those `among` compete, or all but variants, `on` these data sets, or all. Raises SummaryError for records that clash, and for pairs that
    did not see the same text.
    """
    known = {name: place for place, name in enumerate(methods)}
    shelf = {name: place for place, name in enumerate(models)}

    def place(record: Record) -> tuple[int, str, int, str, float, int]:
        model, method = shelf.get(record.model, len(shelf)), known.get(record.method, len(known))
        return model, record.model, method, record.method, record.ratio, KINDS.index(record.kind)

    ordered = sorted(records, key=place)
    _refuse_clashes(ordered)
    compared = {id(record): list(comparisons(record, ordered)) if record.kind in PAIRED else [] for record in ordered}
    contested, unlike = contests(ordered, among, on)
    problems = [problem for pairs in compared.values() for pair in pairs for problem in mismatches(pair)] + unlike
    if problems:
        raise SummaryError("these records cannot be compared; delete the older of each pair and run again:" + "".join(unique(problems)))
    rows = []
    for record in ordered:
        paired = (row for pair in compared[id(record)] for row in PAIRED[record.kind](pair))
        results = [*record.results, *paired, *contested.get(id(record), [])]
        head = {"model": record.model, "method": record.method, "ratio": record.ratio, "kind": kind_text(record), "rival": ""}
        head |= _made(record.provenance)
        rows += [head | asdict(result) | asdict(record.size) for result in results]
    return over_draws(pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS))


def over_draws(summary: pd.DataFrame, further: Collection[Run] | None = None) -> pd.DataFrame:
    """The summary with how many draws of the calibration text there are of each number, their mean and standard deviation.

    They stand in the row of the run that the others are further draws of; rows of one draw alone have none. Where `further` draws are
    named, no others count.
    """
    base = summary["method"].map(lambda label: without(label, "draw"))
    runs = zip(summary["model"], summary["method"], summary["ratio"], strict=True)
    counts = (summary["method"] == base) | pd.Series([further is None or run in further for run in runs], summary.index, dtype="bool")
    alike = summary[counts].assign(method=base[counts]).groupby(["model", "method", "ratio", "dataset", "metric"], sort=False)["value"]
    told = (summary["method"] == base)[counts] & (alike.transform("size") > 1)
    found = {"draws": alike.transform("size"), "draw_mean": alike.transform("mean"), "spread": alike.transform("std")}
    return summary.assign(**{name: values.where(told).astype(COLUMNS[name]).reindex(summary.index) for name, values in found.items()})


def _made(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says of how its model was made, and on what it was measured."""
    making, gpu = provenance["making"], provenance["machine"]["gpu"]
    return {
        "calibration": texts(provenance),
        "follows": follows(provenance["method"]),
        "checkpoint": checkpoint(provenance),
        "compress_seconds": making["seconds"] if making else math.nan,
        "weights": "random" if provenance.get("random_weights") else "",
        "device": f"{provenance['device']} ({gpu or provenance['machine']['cpu']})",
    }


def write_csv(summary: pd.DataFrame, path: str | Path) -> None:
    """Write a summary as CSV with every digit of its numbers, whole or not at all."""
    write_text(path, summary.to_csv(index=False, lineterminator="\n"))


def read_csv(path: str | Path) -> pd.DataFrame:
    """The summary in a file, equal to the one written; SummaryError where columns are missing."""
    text = Path(path).read_text("utf-8")
    names = [column for column, dtype in COLUMNS.items() if dtype == "str"]
    missing = set(COLUMNS) - set(text.partition("\n")[0].split(","))
    if missing:
        raise SummaryError(f"{path} lacks the columns {', '.join(sorted(missing))}; delete it and run again")
    empty = {column: [""] for column in COLUMNS if column not in names}  # a model may be called "NA", a number may not
    frame = pd.read_csv(StringIO(text), keep_default_na=False, na_values=empty, dtype=dict.fromkeys(names, str))
    return frame[list(COLUMNS)].astype(COLUMNS)


def _refuse_clashes(records: Sequence[Record]) -> None:
    """Raise SummaryError where two records claim the same place, or one model the same ratio with two sizes."""
    places = Counter((record.kind, record.model, record.method, record.ratio) for record in records)
    problems = [
        f"{count} {kind} records of {model}, {method}, ratio {ratio}" for (kind, model, method, ratio), count in places.items() if count > 1
    ]
    sizes: dict[tuple[str, str, float], set[object]] = {}
    for record in records:
        sizes.setdefault((record.model, record.method, record.ratio), set()).add(record.size)
    for (model, method, ratio), found in sizes.items():
        if len(found) > 1:
            problems.append(f"{len(found)} sizes of {model}, {method}, ratio {ratio}: {', '.join(sorted(map(str, found)))}")
    if problems:
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise SummaryError(f"records clash; delete those of an older run and run again:{listed}")
