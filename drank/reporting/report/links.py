"""Where the page leads: from a number to its record, from a method to all that a run leaves of it, from a table to its CSV."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

from drank.reporting.layouts import METRICS
from drank.reporting.names import method_name, percent
from drank.reporting.records import Record
from drank.reporting.tables.build import BESIDE
from drank.reporting.tables.layout import Address, Table
from drank.reporting.tables.numbers import SIZE

Files = Mapping[str, Mapping[str, Mapping[str, Mapping[str, str]]]]
"""By model, method and ratio as it stands in paths: the files that a run leaves of it, by what they are (`LEFT`)."""

RECORDS = {"perplexity": "perplexity", "zeroshot": "accuracy", "throughput": "throughput"}
"""The kinds of records, each with what its file is called on the page."""

PLAN, MODEL = "plan", "model"

LEFT = (*RECORDS, PLAN, MODEL)
"""What a run leaves of a method at a ratio: a record of each kind, a plan, the folder of the compressed model."""

CARD = "README.md"
"""The model card, in the folder of its model."""

SAFE = "/+=,@:~"
"""What stands as it is in an address, but for letters and digits."""


class Origin(NamedTuple):
    """A row of the list of files: what an address on the page calls it, method and ratio, and the addresses of its files."""

    anchor: str
    method: str
    ratio: str
    records: list[tuple[str, str]]
    plan: str
    card: str


@dataclass(frozen=True)
class Links:
    """The files of a run, `tables` the CSV files by the name of their table; `page` is where the page lies, from which links are relative.

    All of them are paths in the folder of the run, and only of files that are there.
    """

    files: Files = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    page: str = "results/report.html"

    def to(self, path: str) -> str:
        """The address of a file, seen from the page."""
        return quote(PurePosixPath(os.path.relpath(path, PurePosixPath(self.page).parent)).as_posix(), safe=SAFE)

    def left(self, model: str, method: str, ratio: float) -> Mapping[str, str]:
        """The files of a method at a ratio; none where none are known."""
        return self.files.get(model, {}).get(method, {}).get(f"{ratio:g}", {})

    def record(self, kind: str, model: str, method: str, ratio: float) -> str:
        """The address of what was measured of a method at a ratio; empty where that is not known."""
        left = self.left(model, method, ratio)
        return self.to(left[kind]) if kind in left else ""

    def csv(self, table: Table) -> str:
        """The address of a table's numbers; empty where there is no such file."""
        return self.to(self.tables[table.name]) if table.name in self.tables else ""

    def anchor(self, model: str, method: str, ratio: float) -> str:
        """The address on the page of the files of a method at a ratio; empty where none are known."""
        return f"#{_anchor(model, method, ratio)}" if self.left(model, method, ratio) else ""

    def origins(self, records: Sequence[Record]) -> list[tuple[str, list[Origin]]]:
        """For each model the files of all that was measured of it, in the order of the records; only where something is known."""
        found: dict[str, dict[tuple[str, float], Origin]] = {}
        for record in records:
            if self.left(record.model, record.method, record.ratio):
                found.setdefault(record.model, {}).setdefault((record.method, record.ratio), self._origin(record))
        return [(model, list(rows.values())) for model, rows in found.items()]

    def _origin(self, record: Record) -> Origin:
        left = self.left(record.model, record.method, record.ratio)
        return Origin(
            anchor=_anchor(record.model, record.method, record.ratio),
            method=method_name(record.method),
            ratio=percent(record.ratio),
            records=[(name, self.to(left[kind])) for kind, name in RECORDS.items() if kind in left],
            plan=self.to(left[PLAN]) if PLAN in left else "",
            card=self.to(f"{left[MODEL]}/{CARD}") if MODEL in left else "",
        )

    def cells(self, table: Table, records: Sequence[Record]) -> Address:
        """Where the cells of a table lead: a number to its record, a method to its files.

        Nowhere in a table whose `frame` has no row for each of its own, with `method` and `ratio`, and a column for each of its numbers.
        """
        own = [record for record in records if record.model == table.model]
        kinds = {(result.dataset, result.metric): record.kind for record in own for result in record.results}
        frame = table.frame
        heads = [place for place, column in enumerate(table.columns) if column.align != "r"]
        shown = [name for name in frame.columns if not name.endswith(tuple(BESIDE))][2:]
        if list(frame.columns[:2]) != ["ratio", "method"] or len(shown) + len(heads) != len(table.columns):
            return lambda row, column: ""
        rows = list(zip(frame["method"], frame["ratio"].astype(float), strict=True))

        def address(row: int, column: int) -> str:
            if row >= len(rows):
                return ""
            if column in heads:
                return self.anchor(table.model, *rows[row]) if column == heads[-1] else ""
            metric, _, dataset = shown[column - len(heads)].partition(" ")
            metric = metric.partition("_minus_")[0]  # a difference is of two such numbers, and in no record
            left = self.left(table.model, *rows[row])
            kind = kinds.get((dataset, metric), METRICS.get(metric, ""))
            kind = next((kind for kind in RECORDS if kind in left), "") if dataset == SIZE else kind
            return self.record(kind, table.model, *rows[row])

        return address


def _anchor(model: str, method: str, ratio: float) -> str:
    return quote(f"of/{model}/{method}/{ratio:g}", safe=SAFE)


def here(files: Files, exists: Callable[[Path], bool] = Path.exists) -> Files:
    """The files without models that are not on this machine: those that a run does not keep, or that somebody has removed."""
    return {
        model: {
            method: {
                ratio: {kind: path for kind, path in left.items() if kind != MODEL or exists(Path(path) / CARD)}
                for ratio, left in ratios.items()
            }
            for method, ratios in methods.items()
        }
        for model, methods in files.items()
    }
